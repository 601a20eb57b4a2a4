# Append an uploaded chunk to its file: only once, and only at the end of the chunk before it.
: "${state?}" "${piece?}" "${part?}" "${name?}" "${start?}" "${model?}" "${progress?}"
piece=$state/inbox/$piece
trap 'rm -f "$piece"' EXIT
file=$part/$name
mkdir -p "$(dirname "$file")"
[ "$start" != 0 ] || rm -f "$file"
[ "$(stat -c %s "$file" 2>/dev/null || echo 0)" = "$start" ] || {
    echo "$file has changed during the upload: run again" >&2
    exit 1
}
cat "$piece" >>"$file" || {
    echo "$model: the disk of $part is full: free space there; the next run continues the upload" >&2
    exit 1
}
echo "$progress"
