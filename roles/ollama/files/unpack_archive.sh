# Unpack the archive `upload` into the release that has begun.
: "${directory?}"
umask 022
[ -d "$directory.new" ] || {
    echo "$directory.new is gone: run again" >&2
    exit 1
}
tar -xf upload -C "$directory.new" --no-same-owner
chmod -R u=rwX,go=rX "$directory.new"
