#!/bin/sh
# Boots one host, once, and becomes its systemd-nspawn.
#
#     unshare --mount sh boot.sh DIRECTORY NAME BRIDGE
#
# DIRECTORY contains base (the image), upper and work (the host's changes) and root (the mount point).
# The caller creates a mount namespace: mounts are private to it.
set -eu
directory=$1 name=$2 bridge=$3

mount -t overlay overlay "$directory/root" \
    -o "lowerdir=$directory/base,upperdir=$directory/upper,workdir=$directory/work"

# nspawn keeps its state in /run and needs a tmpfs there; on some machines /run is on disk.
mount -t tmpfs -o mode=0755 tmpfs /run

# The guest gets the unified hierarchy, also on a machine with the hybrid or the legacy one.
[ -e /sys/fs/cgroup/cgroup.controllers ] || mount -t cgroup2 cgroup2 /sys/fs/cgroup

# In a time namespace the guest's uptime starts at 0, so that a reboot can be detected. The two clocks
# differ on a machine that was suspended.
boottime=$(cut -d. -f1 /proc/uptime)
monotonic=$(awk '/^now at/ { printf "%d", $3 / 1e9; exit }' /proc/timer_list)

# Docker's images are on the machine's disk: an overlay on an overlay is not possible.
mkdir -p "$directory/docker"

# Both bpf options let units filter by address (IPAddressDeny=); Docker needs keyrings.
exec unshare --time --boottime "-$boottime" --monotonic "-$monotonic" \
    systemd-nspawn --quiet --boot --register=no --keep-unit --settings=no \
    --machine="lab-$name" --hostname="$name" --directory="$directory/root" \
    --network-bridge="$bridge" --resolv-conf=off --timezone=off --link-journal=no \
    --console=pipe --capability=CAP_BPF,CAP_PERFMON --system-call-filter='bpf @keyring' \
    --bind="$directory/docker:/var/lib/docker"
