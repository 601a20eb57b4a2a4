#!/bin/sh
# Boots one host, once, and becomes its systemd-nspawn.
#
#     unshare --mount sh boot.sh DIRECTORY NAME BRIDGE
#
# DIRECTORY holds base (the image), upper and work (what the host changed) and root (the mount
# point). The caller gives a mount namespace: no mount made here is ever seen outside of it.
set -eu
directory=$1 name=$2 bridge=$3

mount -t overlay overlay "$directory/root" \
    -o "lowerdir=$directory/base,upperdir=$directory/upper,workdir=$directory/work"

# nspawn keeps its own state in /run and wants a tmpfs there; on some machines it is on disk.
mount -t tmpfs -o mode=0755 tmpfs /run

# The guest gets the unified hierarchy also where the machine has the hybrid or the legacy one.
[ -e /sys/fs/cgroup/cgroup.controllers ] || mount -t cgroup2 cgroup2 /sys/fs/cgroup

# A time namespace of its own starts the guest's uptime at 0, which tells a reboot from none. The
# two clocks differ on a machine that has slept.
boottime=$(cut -d. -f1 /proc/uptime)
monotonic=$(awk '/^now at/ { printf "%d", $3 / 1e9; exit }' /proc/timer_list)

# Docker's images lie on the machine's own disk: an overlay on an overlay is not to be had.
mkdir -p "$directory/docker"

# Both bpf options let units filter by address (IPAddressDeny=); with keyrings, Docker runs there.
exec unshare --time --boottime "-$boottime" --monotonic "-$monotonic" \
    systemd-nspawn --quiet --boot --register=no --keep-unit --settings=no \
    --machine="lab-$name" --hostname="$name" --directory="$directory/root" \
    --network-bridge="$bridge" --resolv-conf=off --timezone=off --link-journal=no \
    --console=pipe --capability=CAP_BPF,CAP_PERFMON --system-call-filter='bpf @keyring' \
    --bind="$directory/docker:/var/lib/docker"
