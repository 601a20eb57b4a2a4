# Load rules from an archive on standard input, now and at boot.
#
# `nft -c` checks them first, so that a kernel or an nft without support for them fails while the former
# rules still apply.
: "${directory?}" "${unit?}" "${unit_path?}" "${drop_in?}" "${table?}" "${digest?}"
mkdir -p "$directory"
cd "$directory" || exit
rm -rf new loaded
mkdir new
(cd new && unpack)
nft -c -f new/rules.nft
mv -f new/rules.nft rules.nft
mv -f "new/$unit" "$unit_path"
mkdir -p "${drop_in%/*}"
mv -f "new/${drop_in##*/}" "$drop_in"
rm -rf new "$unit_path.d"
systemctl daemon-reload
systemctl --quiet enable "$unit"
systemctl reload-or-restart "$unit"
loaded=$(nft -s list table inet "$table")
echo "$digest $(printf %s "$loaded" | sha256sum | cut -d ' ' -f 1)" >loaded
