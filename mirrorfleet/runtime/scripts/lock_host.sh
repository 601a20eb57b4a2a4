# Lock the host: one script at a time changes it. Each script starts with this one.
#
# A killed controller leaves its last script running. The next run waits for it, which may take as
# long as the last streams of a stopping gateway. Every user who can open the file can hold the lock,
# so only root can enter its directory. Earlier releases had a lock file that every user could open.
# With the lock, what is in the directories of scripts is of killed ones, and can have keys.
: "${state?}"
set -eu
umask 077
install -d -m 755 "$state"
install -d -m 700 "$state/run"
[ ! -e "$state/lock" ] || rm -f "$state/lock"
exec 9>"$state/run/lock"
umask 022
flock -w 3600 9 || {
    echo "another run is still changing this host" >&2
    exit 1
}
rm -rf "$state/stage" "$state/work" "$state"/work.*
