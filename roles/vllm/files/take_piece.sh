# Add a piece that has arrived to its file: only where the one before it ends, and only once.
: "${state?}" "${piece?}" "${part?}" "${name?}" "${start?}" "${model?}" "${progress?}"
piece=$state/inbox/$piece
trap 'rm -f "$piece"' EXIT
file=$part/$name
mkdir -p "$(dirname "$file")"
[ "$start" != 0 ] || rm -f "$file"
[ "$(stat -c %s "$file" 2>/dev/null || echo 0)" = "$start" ] || {
    echo "$file was changed meanwhile; run again" >&2
    exit 1
}
cat "$piece" >>"$file" || {
    echo "$model: the disk of $part is full. Make room; the next run goes on from there" >&2
    exit 1
}
echo "$progress"
