# Put back the files and links that were kept. The list of assignments keeps its new lines: the next run
# needs them to undo what this one wrote.
: "${former?}" "${list?}"
[ -e "$former/complete" ] || {
    echo "$former is missing: this machine keeps its new state" >&2
    exit 1
}
while read -r path; do
    if [ -e "$former/files$path" ] || [ -L "$former/files$path" ]; then
        mkdir -p "${path%/*}"
        cp -aT "$former/files$path" "$path.mirrorfleet"
        mv -fT "$path.mirrorfleet" "$path"
    else
        rm -f "$path"
    fi
done <"$former/paths"
[ ! -f "$former/assignments" ] || {
    cat "$former/assignments" "$list" 2>/dev/null | sort -u >"$list.mirrorfleet"
    mv -fT "$list.mirrorfleet" "$list"
}
