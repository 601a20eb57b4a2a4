# Verify the uploaded weights and move them to their directory. The positional parameters are the
# command that verifies them.
: "${place?}"
part=$place.part
rm -rf "$part/.cache"
chown -R root:root "$part"
chmod -R u=rwX,go=rX "$part"
"$@" || {
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
