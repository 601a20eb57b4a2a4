#!/bin/sh
# Boot systemd over the files of this machine, in a mount namespace of the caller. No network.
#
#     unshare --mount sh boot.sh DIRECTORY LOWER
#
# DIRECTORY has upper, work and root; LOWER are the layers below it, the upper one first.
set -eu
directory=$1 lower=$2
mount -t overlay overlay "$directory/root" \
    -o "lowerdir=$lower,upperdir=$directory/upper,workdir=$directory/work"
mount -t tmpfs -o mode=0755 tmpfs /run
# systemd-run has made a cgroup already; a machine without systemd needs one of its own.
if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    mkdir "/sys/fs/cgroup/mirrorfleet-kills-$$"
    echo $$ >"/sys/fs/cgroup/mirrorfleet-kills-$$/cgroup.procs"
fi
exec systemd-nspawn --quiet --boot --register=no --keep-unit --settings=no --machine=kills \
    --directory="$directory/root" --private-network --resolv-conf=off --timezone=off \
    --link-journal=no --console=pipe
