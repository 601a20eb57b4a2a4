# Prove the weights that have arrived and put them in their place. The positional parameters are the
# program that proves them.
: "${place?}"
part=$place.part
rm -rf "$part/.cache"
chown -R root:root "$part"
chmod -R u=rwX,go=rX "$part"
"$@" || {
    echo "these weights are not accepted; what was right of them stays" >&2
    exit 1
}
(cd "$part" && find . -type f ! -path './.mirrorfleet/*' -printf '%s %P\n' | LC_ALL=C sort) \
    >"$part/.mirrorfleet/sizes"
sync -f "$part"
rm -rf "$place.old"
[ ! -e "$place" ] || mv -T "$place" "$place.old"
mv -T "$part" "$place"
rm -rf "$place.old"
