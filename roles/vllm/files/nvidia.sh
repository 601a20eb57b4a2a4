#!/bin/sh
# Make the device files of NVIDIA's driver before engines start: systemd looks up the devices that a
# unit may use (DeviceAllow=) when it starts the unit, and leaves out what is not there. An engine
# cannot make them itself: under NoNewPrivileges=, nvidia-modprobe has no rights.
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
    # It makes the files of all GPUs, and fails as long as the driver is not there.
    ! ready || exit 0
    [ "$(date +%s)" -lt "$end" ] || break
    sleep 5
done
echo "NVIDIA's driver does not answer: see nvidia-smi and dmesg." >&2
[ -c /dev/nvidia-uvm ] || echo "/dev/nvidia-uvm is missing: modprobe nvidia-uvm." >&2
exit 1
