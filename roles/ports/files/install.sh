# Install the program that reserves ports and its unit, from an archive on standard input, and run it.
#
# A new host may not have Python yet: its first generation starts the unit. A host with generations may
# not have it because no service there needed it.
: "${root?}" "${unit?}"
mkdir -p "$root/ports"
cd "$root/ports" || exit
rm -rf new
mkdir new
(cd new && unpack)
mv -f new/reserve_ports.py reserve_ports.py
mv -f "new/$unit" "/etc/systemd/system/$unit"
rm -rf new "/etc/systemd/system/$unit.d"
systemctl daemon-reload
systemctl --quiet enable "$unit"
set -- "$root"/*/generations
if ! command -v python3 >/dev/null && [ -e "$1" ]; then
    install_packages python3
fi
! command -v python3 >/dev/null || systemctl reload-or-restart "$unit"
