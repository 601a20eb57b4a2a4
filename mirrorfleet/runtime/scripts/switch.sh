# Make a generation current, restart the service, wait until it is ready; otherwise roll back.
#
# An empty $generation selects the one to roll back to. With $activates=no, a current generation is
# only verified, not restarted.
: "${state?}" "${generation?}" "${activates?}" "${follows?}" "${software?}" "${root?}" "${kept?}" "${never?}"
: "${accepted?}"
export accepted # for `compare`
: "${unit?by generation.sh}" "${previous?by generation.sh}" "${draining?by generation.sh}"
: "${seconds?by generation.sh}"

# Print the last verified generation with the generation token that the leader requested.
followed() {
    for each in $(by_age served); do
        cmp -s "generations/$each/word" "$follows" && echo "$each" && break
    done
}
if [ -z "$generation" ]; then
    if [ -n "$follows" ]; then generation=$(followed); else generation=$(other "$previous"); fi
fi
[ -n "$generation" ] || {
    echo "$unit: there is no other verified generation" >&2
    exit 1
}
work=$state/work
mkdir -m 700 "$work"
outcomes=$PWD/asked output=$work/output
: >"$output"
trap 'rm -rf "$outcomes" "$work" "$draining"; tidy' EXIT

# A running script of a killed controller may have rolled back meanwhile.
start() {
    if [ "$activates" = no ] && [ "$previous" = "$generation" ]; then return; fi
    settle
    activate "$generation"
}
invocation() { systemctl show -p InvocationID --value "$unit"; }
# Before a key is sent to the port, every process that listens there must be in the control group of
# the system unit or of its container. A unit of a user can have the same name, but not the group.
pattern=$(echo "$unit" | sed 's/[.]/\\./g')
groups="/system\.slice/$pattern|(/mirrorfleet\.slice)?/$pattern\.slice"
owns_port() {
    ss -Hltnp "sport = :$port" | {
        found=no
        while read -r listener; do
            pids=$(echo "$listener" | grep -o 'pid=[0-9]*') || exit 1
            for pid in $pids; do
                pid=${pid#pid=}
                [ -e "/proc/$pid" ] || continue # it has just ended
                grep -Eq "^(0:|[0-9]+:name=systemd):($groups)(/|\$)" "/proc/$pid/cgroup" || exit 1
                found=yes
            done
        done
        [ "$found" = yes ]
    }
}
# Whether a generation is running that has not served before: not the one to which a failure rolls back.
is_tried() {
    now=$(readlink current)
    [ "$new" = yes ] && [ "${now##*/}" = "$generation" ]
}
port_of_current() { sed -n 's/^MIRRORFLEET_PORT=//p' current/environment; }
restarts() { systemctl show -p NRestarts --value "$unit"; }
# The port is that of the generation: a former one may have another. Messages go to a file: writing to
# a controller that has disconnected would fail.
serves() {
    port=$(port_of_current)
    end=$(($(date +%s) + seconds))
    before=$(restarts)
    while [ "$(date +%s)" -lt "$end" ]; do
        if owns_port; then
            ready >"$output" 2>&1
            case $? in
                0)
                    is_tried || return 0
                    compare "$generation" "$former" >>"$output" 2>&1
                    return
                    ;;
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
        rm -rf "generations/$each" "served/$each" "proofs/$each.json" "figures/$each.json"
    done
    [ -z "$software" ] || for each in "$software"/*; do
        grep -qsF "$each/" "$root"/*/generations/*/*.service || rm -rf "$each"
    done
    rm -rf generations/*.new # of a killed run
    reserve_ports
}

# After an interrupted run, its results of the verified generation count, not new ones.
[ -e "$outcomes" ] && [ ! -e "served/$previous" ] || {
    port=$(port_of_current)
    owns_port && { [ "$activates" = no ] || ask; }
} >"$outcomes" 2>/dev/null
# A generation that has served before is only checked again: its hooks need no whole proof.
export new=yes
[ ! -e "served/$generation" ] || new=no
former=$(other "$generation")
# What the new generation is compared with is measured on the same day, while it still serves.
if [ "$new$activates" = yesyes ] && [ "$former" = "$previous" ] && [ -e "served/$former" ]; then
    port=$(port_of_current)
    ! owns_port || measure "$former"
fi >/dev/null 2>&1
rm -f "served/$generation"
begun=
start && begun=$(invocation) && serves && {
    rm -f "$outcomes" # before the record: after it, a next run has nothing to do here
    touch "served/$generation"
    cat "$output" >&2
    prune
    exit 0
}
[ -n "$begun" ] || begun=$(invocation)
# Roll back even if the controller has disconnected.
trap '' PIPE
echo "$unit: not ready after the switch" >&2
cat "$output" >&2
echo "$unit: the end of its journal:" >&2
# Of this start only: not of the former process, nor of a later start by systemd.
journalctl --no-pager -q -o cat _SYSTEMD_INVOCATION_ID="$begun" + INVOCATION_ID="$begun" |
    words >&2
abandon
if [ -n "$former" ]; then
    if activate "$former" && serves; then
        touch "served/$former"
        echo "$unit: rolled back to $former, which is ready. Fix the error above and run again" >&2
    else
        echo "$unit: $former is not ready either" >&2
        cat "$output" >&2
    fi
else
    systemctl stop "$unit"
    rm current
fi
exit 1
