# Start the unit that makes the device files of the GPUs. It is not restarted when it differs:
# engines that require it would be stopped with it.
: "${unit?}"
systemctl daemon-reload
systemctl --quiet enable "$unit"
systemctl start "$unit" || {
    echo "$unit cannot make the devices of the GPUs; its last words:" >&2
    journalctl --no-pager -q -o cat -n 8 -u "$unit" >&2
    exit 1
}
