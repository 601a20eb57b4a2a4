# Take a file that has arrived out of the login user's hands before it is looked at. The script that
# follows runs as root in an empty directory, where the file is `upload`.
: "${state?}" "${upload?}" "${digest?}"
work=$(mktemp -d "$state/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
mv "$state/inbox/$upload" "$work/upload"
chown root:root "$work/upload"
echo "$digest  $work/upload" | sha256sum --check --quiet
cd "$work" || exit
