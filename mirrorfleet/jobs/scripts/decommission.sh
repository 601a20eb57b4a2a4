# Remove everything of Mirrorfleet from a host. The positional parameters exclude paths from `find`.
#
# All services are stopped before anything is removed: if one cannot be stopped, everything stays.
: "${root?}" "${state?}" "${users?}"
for path in /etc/systemd/system/mirrorfleet-*; do
    [ -f "$path" ] || continue
    unit=${path##*/}
    systemctl --quiet disable --now "$unit" || true
    if systemctl --quiet is-active "$unit"; then
        echo "$unit cannot be stopped" >&2
        exit 1
    fi
done
rm -rf /etc/systemd/system/mirrorfleet-*
systemctl daemon-reload
nft delete table inet mirrorfleet 2>/dev/null || true
release_ports
find /usr/local/bin -maxdepth 1 -lname "$root/*" -delete
rm -rf "$root"
find "$state" -mindepth 1 -maxdepth 1 "$@" -exec rm -rf {} +
rmdir "$state" 2>/dev/null || true
for service in $users; do
    ! grep -q "^mirrorfleet-$service:" /etc/passwd || userdel "mirrorfleet-$service"
done
