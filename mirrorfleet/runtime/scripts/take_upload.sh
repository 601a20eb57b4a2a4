# Move an upload out of the login user's reach, then verify it. The script that follows runs as root
# in a directory that has only the file `upload`.
: "${state?}" "${upload?}" "${digest?}"
work=$state/work
mkdir -m 700 "$work"
trap 'rm -rf "$work"' EXIT
mv "$state/inbox/$upload" "$work/upload"
chown root:root "$work/upload"
echo "$digest  $work/upload" | sha256sum --check --quiet
cd "$work" || exit
