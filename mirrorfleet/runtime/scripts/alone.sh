# Let one script at a time change the host. It goes before each one.
#
# A controller that was killed leaves its last script running. The next run waits until it is done,
# which may take as long as the streams of a gateway that stops. To hold a lock takes no more than
# to open its file, so only root enters its directory. Earlier releases had one that all could open.
: "${state?}"
set -eu
umask 077
install -d -m 755 "$state"
install -d -m 700 "$state/run"
[ ! -e "$state/lock" ] || rm -f "$state/lock"
exec 9>"$state/run/lock"
umask 022
flock -w 3600 9 || {
    echo "another run still changes this host" >&2
    exit 1
}
