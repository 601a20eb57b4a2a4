# Unpack the archive on standard input into a directory that is removed when the script ends.
: "${state?}"
umask 022
stage=$state/stage
trap 'rm -rf "$stage"' EXIT
mkdir -m 700 "$stage"
(cd "$stage" && unpack)
