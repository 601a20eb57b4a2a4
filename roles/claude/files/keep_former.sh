# Keep what the machine has before its ring changes: the homes' managed keys from standard input, and the
# files and links that the positional parameters name. What an interrupted run has kept stays: the ring
# was never proved since.
: "${former?}" "${list?}"
[ -e "$former/complete" ] || {
    rm -rf "$former"
    mkdir -m 700 "$former"
    cat >"$former/homes.json"
    [ ! -f "$list" ] || cp "$list" "$former/assignments"
    for path; do
        echo "$path" >>"$former/paths"
        [ -e "$path" ] || [ -L "$path" ] || continue
        mkdir -p "$former/files${path%/*}"
        cp -a "$path" "$former/files$path"
    done
    touch "$former/complete"
}
