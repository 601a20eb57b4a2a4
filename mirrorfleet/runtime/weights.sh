# Functions of observe.sh that only hosts with weights need.

# Of weights, whose sizes were noted when they arrived, what has another size by now or is gone. An
# 80 GB model is not read for this.
weights() {
    for directory; do
        sizes=$directory/.mirrorfleet/sizes
        [ -f "$sizes" ] || continue
        path "$directory"
        find "$directory" -type f -printf '%s %P\n' | grep -vxFf - "$sizes" |
            while read -r _ name; do say wrong "$directory" "$name"; done
    done
}

# Of weights that others put there, what their own index names and is not.
shared() {
    for directory; do
        path "$directory"
        {
            echo config.json
            grep -o '"[^"/]*\.safetensors"' "$directory/model.safetensors.index.json"
        } 2>/dev/null |
            sort -u | while IFS='"' read -r name quoted _; do
            name=$name${quoted-}
            [ -s "$directory/$name" ] || say wrong "$directory" "$name"
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
                say unused "$each" "$(du -sk "$each" | cut -f 1)"
        done
    done
}
