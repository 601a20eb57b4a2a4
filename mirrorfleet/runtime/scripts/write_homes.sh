# Write the files of the archive. Its file `places` has the calls of `place` and `as_user`, which
# would be too long for a command line with many users.
: "${stage?by homes.sh}"
# shellcheck source=/dev/null
. "$stage/places"
