# Remove the program that reserves ports and its unit.
: "${root?}" "${unit?}" "${report?}"
systemctl --quiet disable --now "$unit" || true
rm -rf "/etc/systemd/system/$unit" "/etc/systemd/system/$unit.d" "$root/ports" "$report"
systemctl daemon-reload
