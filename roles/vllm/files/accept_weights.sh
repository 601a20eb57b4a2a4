# Verify weights that have arrived and move them to their directories, which are separated by spaces.
# The positional parameters are the command that verifies a directory.
: "${places?}"
for place in $places; do
    part=$place.part
    rm -rf "$part/.cache"
    chown -R root:root "$part"
    chmod -R u=rwX,go=rX "$part"
    "$@" "$part" || {
        echo "these weights are rejected; their valid files are kept for the next run" >&2
        exit 1
    }
    (cd "$part" && find . -type f ! -path './.mirrorfleet/*' -printf '%s %P\n' | LC_ALL=C sort) \
        >"$part/.mirrorfleet/sizes"
    sync -f "$part"
    rm -rf "$place.old"
    [ ! -e "$place" ] || mv -T "$place" "$place.old"
    mv -T "$part" "$place"
    rm -rf "$place.old"
done
