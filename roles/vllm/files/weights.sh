# Facts about weights on a host: a line per existing directory, and one per wrong file in it.

# Files of weights that are missing, or have another size than after their download. This reads no
# content, which may be 80 GB.
weights() {
    for directory; do
        sizes=$directory/.mirrorfleet/sizes
        [ -f "$sizes" ] || continue
        say weights "$directory" ''
        find "$directory" -type f -printf '%s %P\n' | grep -vxFf - "$sizes" |
            while read -r _ name; do say weights "$directory" "$name"; done
    done
}

# Files of weights from another source that their index lists, but that are missing or empty.
shared() {
    for directory; do
        [ ! -e "$directory" ] || say shared "$directory" ''
        {
            echo config.json
            grep -o '"[^"/]*\.safetensors"' "$directory/model.safetensors.index.json"
        } 2>/dev/null |
            sort -u | while IFS='"' read -r name quoted _; do
            name=$name${quoted-}
            [ -s "$directory/$name" ] || say shared "$directory" "$name"
        done
    done
}

# Weights that no generation of a service uses, with their size in KiB.
unused() {
    root=$1
    shift
    for directory; do
        for weights in "$directory"/*; do
            [ -d "$weights" ] || continue
            grep -qsF "$weights" "$root"/*/generations/*/*.service ||
                say unused "$root" "$directory" "$weights" "$(du -sk "$weights" | cut -f 1)"
        done
    done
}

# The size of the weights in a directory in bytes, without a second copy under another name.
bulk() {
    for path; do
        set -- "$path"/model-*-of-*.safetensors
        [ -e "$1" ] || set -- "$path/model.safetensors"
        # shellcheck disable=SC2046 # the sum and a word
        set -- $(du -cLb "$@" 2>/dev/null | tail -n 1)
        [ "${1:-0}" = 0 ] || say bulk "$path" "$1"
    done
}
