# Make a generation current, restart the service, wait until it serves; roll back if it does not.
#
# An empty $generation is the one to roll back to. With $activates=no, a generation that is current
# is not restarted, only proved.
: "${generation?}" "${activates?}" "${follows?}" "${software?}" "${root?}" "${kept?}" "${never?}"
: "${unit?by generation.sh}" "${previous?by generation.sh}" "${held?by generation.sh}"
: "${seconds?by generation.sh}"

# The last to have served that has the token which the other host has come to.
followed() {
    for each in $(by_age served); do
        cmp -s "generations/$each/word" "$follows" && echo "$each" && break
    done
}
if [ -z "$generation" ]; then
    if [ -n "$follows" ]; then generation=$(followed); else generation=$(other "$previous"); fi
fi
[ -n "$generation" ] || {
    echo "$unit: no other generation has served" >&2
    exit 1
}
outcomes=$PWD/asked said=$(mktemp)
trap 'rm -f "$outcomes" "$said" "$held"; tidy' EXIT

# A script that a killed controller had left at work may have gone back meanwhile.
start() {
    if [ "$activates" = no ] && [ "$previous" = "$generation" ]; then return; fi
    activate "$generation"
}
invocation() { systemctl show -p InvocationID --value "$unit"; }
# No key goes to a port before it is known which process has it: every process that listens there
# must be in the control group of the system's unit, or of its container. A user's own unit can have
# the same name, but not the same group.
pattern=$(echo "$unit" | sed 's/[.]/\\./g')
groups="/system\.slice/$pattern|(/mirrorfleet\.slice)?/$pattern\.slice"
ours() {
    ss -Hltnp "sport = :$port" | {
        found=no
        while read -r listener; do
            pids=$(echo "$listener" | grep -o 'pid=[0-9]*') || exit 1
            for pid in $pids; do
                pid=${pid#pid=}
                [ -e "/proc/$pid" ] || continue # it has ended just now
                grep -Eq "^(0:|[0-9]+:name=systemd):($groups)(/|\$)" "/proc/$pid/cgroup" || exit 1
                found=yes
            done
        done
        [ "$found" = yes ]
    }
}
port_of_current() { sed -n 's/^MIRRORFLEET_PORT=//p' current/environment; }
restarts() { systemctl show -p NRestarts --value "$unit"; }
# The port is that of the generation: one that is rolled back to may have another. Messages go into
# a file: printed to a controller that has gone, they would make the command fail.
serves() {
    port=$(port_of_current)
    end=$(($(date +%s) + seconds))
    before=$(restarts)
    while [ "$(date +%s)" -lt "$end" ]; do
        if ours; then
            ready >"$said" 2>&1
            case $? in
                0) return 0 ;;
                "$never") return 1 ;;
            esac
        fi
        [ "$(restarts)" = "$before" ] || return 1
        sleep 0.3
    done
    return 1
}

prune() {
    {
        by_age served
        by_age generations
    } | awk '!seen[$0]++' | grep -vx "$generation" | tail -n +"$kept" | while read -r each; do
        rm -rf "generations/$each" "served/$each"
    done
    [ -z "$software" ] || for each in "$software"/*; do
        grep -qsF "$each/" "$root"/*/generations/*/*.service || rm -rf "$each"
    done
    reserve_ports
}

# After a run that was cut, the answers that it got from what had served count, not those of now.
[ -e "$outcomes" ] && [ ! -e "served/$previous" ] || {
    port=$(port_of_current)
    ours && { [ "$activates" = no ] || ask; }
} >"$outcomes" 2>/dev/null
rm -f "served/$generation"
begun=
start && begun=$(invocation) && serves && {
    touch "served/$generation"
    cat "$said" >&2
    prune
    exit 0
}
[ -n "$begun" ] || begun=$(invocation)
# A controller that has gone reads nothing more; the service is rolled back all the same.
trap '' PIPE
echo "$unit: not ready after the switch" >&2
cat "$said" >&2
echo "$unit: its last words:" >&2
# Those of this start: not of what ran before, nor of the one that systemd has begun since.
journalctl --no-pager -q -o cat _SYSTEMD_INVOCATION_ID="$begun" + INVOCATION_ID="$begun" |
    words >&2
abandon
former=$(other "$generation")
if [ -n "$former" ]; then
    if activate "$former" && serves; then
        touch "served/$former"
        echo "$unit: rolled back to $former, which serves. Correct the above, and run again" >&2
    else
        echo "$unit: $former does not serve either" >&2
        cat "$said" >&2
    fi
else
    systemctl stop "$unit"
    rm current
fi
exit 1
