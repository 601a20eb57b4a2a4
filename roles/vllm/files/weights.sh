# Weights on a host. A line per directory that is there, and one per file of it that is wrong.

# Of weights, whose sizes were noted when they arrived, what has another size by now or is gone. An
# 80 GB model is not read for this.
weights() {
    for directory; do
        sizes=$directory/.mirrorfleet/sizes
        [ -f "$sizes" ] || continue
        say weights "$directory" ''
        find "$directory" -type f -printf '%s %P\n' | grep -vxFf - "$sizes" |
            while read -r _ name; do say weights "$directory" "$name"; done
    done
}

# Of weights that others put there, what their own index names and is missing or empty.
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

# Of a directory of weights, those that no generation of a service starts with, and their KiB.
unused() {
    root=$1
    shift
    for directory; do
        for each in "$directory"/*; do
            [ -d "$each" ] || continue
            grep -qsF "$each" "$root"/*/generations/*/*.service ||
                say unused "$root" "$directory" "$each" "$(du -sk "$each" | cut -f 1)"
        done
    done
}

# How many bytes arrived of the files in a directory, which are sent piece by piece.
sizes() { find "$@" -type f -printf 'sizes\t%H\t%P\t%s\n' 2>/dev/null; }

# Bytes of the weights in a directory. Some models come with a second copy by another name.
bulk() {
    for path; do
        set -- "$path"/model-*-of-*.safetensors
        [ -e "$1" ] || set -- "$path/model.safetensors"
        # shellcheck disable=SC2046 # the sum and a word
        set -- $(du -cLb "$@" 2>/dev/null | tail -n 1)
        [ "${1:-0}" = 0 ] || say bulk "$path" "$1"
    done
}
