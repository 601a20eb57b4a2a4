# Hold the host for one run until standard input ends, or is silent: a dead controller holds nothing.
#
# Prints `held` with the seconds since a script last changed the host, or `busy` with the holder. It
# waits for no other run, and holds no script's lock.
: "${state?}" "${holder?}" "${silence?}"
set -eu
umask 077
install -d -m 755 "$state"
install -d -m 700 "$state/run"
exec 8>>"$state/run/holder"
if ! flock -n 8; then
    printf 'busy\t%s\n' "$(head -c 500 "$state/run/holder" | tr -cd '\040-\176')"
    exit
fi
printf '%s' "$holder, since $(date -u +%H:%M:%S) UTC" >"$state/run/holder"
now=$(date +%s)
changed=$(stat -c %Y "$state/applied" 2>/dev/null) || changed=0
printf 'held\t%s\n' "$((now - changed))"
while [ -n "$(timeout "$silence" head -n 1)" ]; do :; done
