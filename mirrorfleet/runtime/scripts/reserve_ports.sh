# Reserve the ports of the host's present generations, after some were added or removed.
reserve_ports() {
    [ ! -e /etc/systemd/system/mirrorfleet-ports.service ] ||
        systemctl --quiet reload-or-restart mirrorfleet-ports.service
}
