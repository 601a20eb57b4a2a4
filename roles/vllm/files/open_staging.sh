# Create the staging directory $place.part for weights. Link the files of earlier weights that still
# have the size from their verification.
: "${place?}"
part=$place.part
mkdir -p "$part"
if [ -f "$place/.mirrorfleet/sizes" ]; then
    cd "$place" || exit
    find . -type f -printf '%s %P\n' | { grep -xFf .mirrorfleet/sizes || true; } |
        while read -r _ name; do
            mkdir -p "$part/$(dirname "$name")"
            ln -f "$name" "$part/$name"
        done
    cd /
fi
