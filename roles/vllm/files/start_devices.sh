# Start the unit that creates the device files of the GPUs. A changed unit is not restarted: systemd
# would also stop the engines that require it.
: "${unit?}"
systemctl daemon-reload
systemctl --quiet enable "$unit"
systemctl start "$unit" || {
    echo "$unit cannot create the device files of the GPUs; its last log lines:" >&2
    journalctl --no-pager -q -o cat -n 8 -u "$unit" >&2
    exit 1
}
