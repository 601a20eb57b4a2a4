# Remove the rules, now and at boot.
: "${directory?}" "${unit?}" "${unit_path?}" "${drop_in?}" "${table?}"
systemctl --quiet disable --now "$unit" || true
rm -rf "$unit_path" "$unit_path.d" "${drop_in%/*}" "$directory"
systemctl daemon-reload
printf 'table inet %s\ndelete table inet %s\n' "$table" "$table" | nft -f -
