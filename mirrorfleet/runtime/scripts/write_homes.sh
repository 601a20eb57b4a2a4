# Write what the archive has: its calls of `place` and `as_user` are a file in it, for those of many
# users would be too long for a command line.
: "${stage?by homes.sh}"
# shellcheck source=/dev/null
. "$stage/places"
