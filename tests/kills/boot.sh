#!/bin/sh
# Boot systemd over the files of this machine, in a mount namespace and a cgroup of the caller.
# The host has a network of its own, without an interface.
#
#     unshare --mount sh boot.sh DIRECTORY LOWER
#
# DIRECTORY has upper, work and root; LOWER are the layers below it, the upper one first.
set -eu
directory=$1 lower=$2
mount -t overlay overlay "$directory/root" \
    -o "lowerdir=$lower,upperdir=$directory/upper,workdir=$directory/work"
mount -t tmpfs -o mode=0755 tmpfs /run
# The host gets the unified hierarchy, also on a machine with the hybrid or the legacy one.
[ -e /sys/fs/cgroup/cgroup.controllers ] || mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec systemd-nspawn --quiet --boot --register=no --keep-unit --settings=no --machine=kills \
    --directory="$directory/root" --private-network --resolv-conf=off --timezone=off \
    --link-journal=no --console=pipe
