#!/bin/sh
# Create the device files of NVIDIA's driver before engines start. When systemd starts a unit, it
# resolves the devices of DeviceAllow=, and ignores missing ones. An engine cannot create them itself:
# under NoNewPrivileges=, nvidia-modprobe has no privileges.
set -u

ready() { [ -c /dev/nvidia-uvm ] && nvidia-smi -L; }

end=$(($(date +%s) + ${PATIENCE:-240}))
while :; do
    modprobe nvidia-uvm
    if command -v nvidia-modprobe >/dev/null; then
        nvidia-modprobe -c 0 -u
    elif [ ! -e /dev/nvidia-uvm ]; then
        major=$(awk '$2 == "nvidia-uvm" { print $1 }' /proc/devices)
        [ -z "$major" ] || mknod -m 666 /dev/nvidia-uvm c "$major" 0
    fi
    # nvidia-smi creates the files of all GPUs, and fails until the driver is loaded.
    ! ready || exit 0
    [ "$(date +%s)" -lt "$end" ] || break
    sleep 5
done
echo "NVIDIA's driver does not respond: run nvidia-smi, and see dmesg." >&2
[ -c /dev/nvidia-uvm ] || echo "/dev/nvidia-uvm is missing: run modprobe nvidia-uvm." >&2
exit 1
