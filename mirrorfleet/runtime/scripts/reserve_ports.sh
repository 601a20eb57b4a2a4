# Reserve the ports of the generations that are on the host now: some came or went.
reserve_ports() {
    [ ! -e /etc/systemd/system/mirrorfleet-ports.service ] ||
        systemctl --quiet reload-or-restart mirrorfleet-ports.service
}
