#!/bin/sh
# Make a root filesystem over that of this machine, in namespaces of the caller, and wait in it.
#
#     unshare --mount --pid --net --ipc --uts --fork --kill-child sh world.sh DIRECTORY LOWER
#
# DIRECTORY has upper, work and root; LOWER are the layers below it, the upper one first.
set -eu
directory=$1 lower=$2
root=$directory/root
mount -t overlay overlay "$root" -o "lowerdir=$lower,upperdir=$directory/upper,workdir=$directory/work"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
mkdir "$root/dev/shm"
chmod 1777 "$root/dev/shm"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 666 "$root/dev/full" c 1 7
mknod -m 666 "$root/dev/random" c 1 8
mknod -m 666 "$root/dev/urandom" c 1 9
mknod -m 666 "$root/dev/tty" c 5 0
ln -s /proc/self/fd "$root/dev/fd"
ip link set lo up
hostname host
# shellcheck disable=SC2016 # the shell inside expands it
exec chroot "$root" sh -c 'echo ready; while :; do sleep 3600 & wait; done'
