# What stores of models have: the size of each manifest's model, and the blobs that no manifest names.
# COPY… is what a cut creation left. A younger blob may belong to a pull that is under way. The server owns the names: any odd one is left.
stored() {
    for directory; do
        [ -d "$directory/blobs" ] || continue
        # The server could make root read, and name, any files by a link here.
        [ ! -L "$directory/manifests" ] || continue
        named=$(grep -rhoE 'sha256:[0-9a-f]{64}' "$directory/manifests" 2>/dev/null | tr : - | sort -u)
        find "$directory/blobs/" -maxdepth 1 -type f -mmin +60 -printf '%f %s\n' |
            grep -E '^(sha256-|COPY)[0-9A-Za-z.-]+ [0-9]+$' | while read -r name size; do
            case $named in
                *"$name"*) ;;
                *) say stored "$directory" blob "$name" "$size" ;;
            esac
        done
        find "$directory/manifests/" -mindepth 4 -maxdepth 4 -type f -printf '%P\n' 2>/dev/null |
            grep -E '^[0-9A-Za-z_][0-9A-Za-z._:/-]+$' | while read -r name; do
            size=$(grep -oE '"size": ?[0-9]+' "$directory/manifests/$name" |
                awk -F: '{ sum += $2 } END { printf "%.0f", sum }')
            say stored "$directory" model "$name" "${size:-0}"
        done
    done
}
