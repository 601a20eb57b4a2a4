"""Put a service's generation on a host and switch to it; go back where it does not serve."""

from __future__ import annotations

from pyinfra.api.command import StringCommand

from mirrorfleet.runtime.commands import Commands, script, telling
from mirrorfleet.runtime.drift import has_served, is_listening, is_placed, is_started
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.payload import UNPACK, pack
from mirrorfleet.runtime.reserved import AGAIN
from mirrorfleet.runtime.service import NEVER, Installed, Service

KEPT = 3
"""Generations that stay on the host for going back: first those that have served."""

# A generation gets its name when it is complete and its check has passed. The check has the
# environment that the service will have, and its user. A tree of the same name that another hand
# has changed is replaced. If it is current, the link then says so in another way: it leads to the
# same place, also for a reboot, and a next run knows that the restart is still owed.
PLACE = """\
mkdir -p {directory}/generations
cd {directory}
rm -rf generations/*.new
{{
    mkdir -m 750 generations/{generation}.new && chgrp {user} generations/{generation}.new &&
    (cd generations/{generation}.new && {unpack})
}} || {{
    rm -rf generations/{generation}.new
    echo "{unit}: the new generation cannot be written; what ran before runs on." >&2
    echo "If its disk is full, make room below {directory}, and run again." >&2
    exit 1
}}
(
    cd generations/{generation}.new && set -a && . ./environment &&
    exec runuser -u {checker} -- {check}
) || {{
    rm -rf generations/{generation}.new
    echo "{unit}: the new generation is refused; what ran before runs on" >&2
    exit 1
}}
if [ -e generations/{generation} ]; then
    [ "$(readlink current)" != generations/{generation} ] ||
        ln -sfn ./generations/{generation} current
    mv generations/{generation} generations/was.new
fi
mv generations/{generation}.new generations/{generation}
rm -rf generations/was.new
{reserve}
"""


def place(service: Service, observed: Observation) -> Commands:
    """Put the generation, checked, beside the one that runs. Nothing that runs is touched."""
    if is_placed(service, observed):
        return
    yield script(
        PLACE.format(
            directory=service.directory,
            generation=service.generation,
            user=service.user,
            unit=service.unit_name,
            checker=service.check_user or service.user,
            check=service.check,
            unpack=UNPACK,
            reserve=AGAIN,
        ),
        pack(service.members()),
    )


# What has served is on record: an empty file, named and dated by the generation's last proof. The
# one that is switched to has none until it has proved itself, so wherever a run is cut, the next
# one knows what is still to be proved, and where the way back leads.
BEGIN = """\
set +e
cd {directory}
unit={unit}
held={held}
previous=$(readlink current | sed 's|.*/||')
# A host of before there was a record: what was current counts as proved.
[ -d served ] || {{ mkdir served && [ -z "$previous" ] || touch "served/$previous"; }}
# The last to have served, but for one; where none has, what was current before.
other() {{
    for each in $(ls -t served) $previous; do
        [ "$each" = "$1" ] || [ ! -d "generations/$each" ] || {{ echo "$each"; break; }}
    done
}}
activate() {{
    ln -sfn "generations/$1" current.new && mv -fT current.new current &&
    install -m 644 "generations/$1/$unit" "/etc/systemd/system/.$unit" &&
    mv -f "/etc/systemd/system/.$unit" "/etc/systemd/system/$unit" &&
    rm -rf "/etc/systemd/system/$unit.d" &&
    systemctl daemon-reload && systemctl --quiet enable "$unit" &&
    {{ systemctl --quiet reset-failed "$unit" || true; }} && systemctl {restart} "$unit" && hold
}}
# From its start until it has proved itself, or until that has taken too long, load balancers wait.
hold() {{
    [ -z "$held" ] ||
        {{ install -d -m 755 "${{held%/*}}" && touch -d "+$(({seconds} + 60)) seconds" "$held"; }}
}}
"""

SWITCH = """\
generation={generation}
[ -n "$generation" ] || {{ echo "{unit}: no other generation has served" >&2; exit 1; }}
outcomes=$PWD/asked said=$(mktemp)
trap 'rm -f "$outcomes" "$said" $held; tidy' EXIT

tidy() {{
    {tidy}
}}

invocation() {{ systemctl show -p InvocationID --value "$unit"; }}
# No key goes to a port before it is known whose it is: every process that listens there must be in
# the control group of the system's unit, or of its container. A user's own unit can have the same
# name, but not the same group.
ours() {{
    ss -Hltnp "sport = :$port" | {{
        found=no
        while read -r listener; do
            pids=$(echo "$listener" | grep -o 'pid=[0-9]*') || exit 1
            for pid in $pids; do
                pid=${{pid#pid=}}
                [ -e "/proc/$pid" ] || continue # it has ended just now
                grep -Eq "^(0:|[0-9]+:name=systemd):{groups}" "/proc/$pid/cgroup" || exit 1
                found=yes
            done
        done
        [ "$found" = yes ]
    }}
}}
port_of_current() {{ sed -n 's/^MIRRORFLEET_PORT=//p' current/environment; }}
restarts() {{ systemctl show -p NRestarts --value "$unit"; }}
# The port is that of the generation: one that is gone back to may have another. What is said goes
# into a file: told to a controller that has gone, it would never count as ready.
serves() {{
    port=$(port_of_current)
    end=$(($(date +%s) + {seconds}))
    before=$(restarts)
    while [ "$(date +%s)" -lt "$end" ]; do
        if ours; then
            {{
                {ready}
            }} >"$said" 2>&1
            case $? in 0) return 0 ;; {never}) return 1 ;; esac
        fi
        [ "$(restarts)" = "$before" ] || return 1
        sleep 0.3
    done
    return 1
}}

prune() {{
    {{ ls -t served; ls -t generations; }} | awk '!observed[$0]++' | grep -vx "$generation" |
        tail -n +{kept} | while read -r each; do rm -rf "generations/$each" "served/$each"; done
    {prune_software}
    {reserve}
}}

# After a run that was cut, the answers that it got from what had served count, not those of now.
[ -e "$outcomes" ] && [ ! -e "served/$previous" ] || {{
    port=$(port_of_current)
    ours && {ask}
}} >"$outcomes" 2>/dev/null
rm -f "served/$generation"
begun=
{start} && begun=$(invocation) && serves && {{
    touch "served/$generation"
    cat "$said" >&2
    prune
    exit 0
}}
[ -n "$begun" ] || begun=$(invocation)
# A controller that has gone reads nothing more; the way back is gone all the same.
trap '' PIPE
echo "{unit}: not ready after the switch" >&2
cat "$said" >&2
echo "{unit}: its last words:" >&2
# Those of this start: not of what ran before, nor of the one that systemd has begun since.
journalctl --no-pager -q -o cat _SYSTEMD_INVOCATION_ID="$begun" + INVOCATION_ID="$begun" |
    {words} >&2
{abandon}
former=$(other "$generation")
if [ -n "$former" ]; then
    if activate "$former" && serves; then
        touch "served/$former"
        echo "{unit}: rolled back to $former, which serves. Correct the above, and run again" >&2
    else
        echo "{unit}: $former, gone back to, does not serve either" >&2
        cat "$said" >&2
    fi
else
    systemctl stop "$unit"
    rm current
fi
exit 1
"""


def is_switched(service: Service, observed: Observation) -> bool:
    """Does the generation run, listen, and has it served, so that nothing is to be done?"""
    return all(holds(service, observed) for holds in (is_started, is_listening, has_served))


def switch(service: Service, observed: Observation, *, anew: bool = False) -> Commands:
    """Make the generation current, restart, wait until it serves; go back if it does not.

    ``anew`` is for what runs already, and has to start with something else.
    """
    if is_switched(service, observed) and not anew:
        return
    yield _switch(service, service.generation, activate=anew or not is_started(service, observed))


def stand_by(service: Service, observed: Observation) -> Commands:
    """Make the generation of a service that follows another host's current, and see that it runs.

    What it does goes on until that host wants something else of it. It proves itself afterwards.
    """
    if is_started(service, observed):
        return
    text = BEGIN + "activate {generation}\n"
    yield script(text.format(**_said(service), generation=service.generation))


def stand_back(service: Installed) -> Commands:
    """Make the last other generation that has served current of a service that follows another.

    If that host goes back to something else, `back` finds it.
    """
    text = BEGIN + 'former=$(other "$previous")\n[ -z "$former" ] || activate "$former"\n'
    yield script(text.format(**_said(service)))


def prove(service: Service, observed: Observation) -> Commands:
    """Put on record that what stood by has been wanted by that host, or go back with it."""
    if not is_switched(service, observed):
        yield _switch(service, service.generation, activate=False)


def back(service: Installed) -> Commands:
    """Make the last other generation that has served current again; return if it fails.

    One that follows makes current what it has been led back to.
    """
    generation = FOLLOWED.format(follows=service.follows) if service.follows else FORMER
    yield _switch(service, generation, activate=True)


FORMER = '$(other "$previous")'

FOLLOWED = """$(for each in $(ls -t served); do
    cmp -s "generations/$each/word" {follows} && echo "$each" && break
done)"""


# A script that a killed controller had left at work may have gone back meanwhile.
PROVE = '{ [ "$previous" = "$generation" ] || activate "$generation"; }'


def _switch(service: Installed, generation: str, *, activate: bool) -> StringCommand:
    return telling(
        (BEGIN + SWITCH).format(
            **_said(service),
            generation=generation,
            ask=service.ask if activate else "true",
            start='activate "$generation"' if activate else PROVE,
            ready=service.ready,
            never=NEVER,
            words=service.words,
            kept=KEPT,
            prune_software=_prune_software(service.software),
            tidy=service.tidy,
            abandon=service.abandon,
            reserve=AGAIN,
            groups=GROUPS.format(unit=service.unit_name.replace(".", r"\.")),
        )
    )


GROUPS = r"(/system\.slice/{unit}|(/mirrorfleet\.slice)?/{unit}\.slice)(/|\$)"
"""The control groups of a unit of ours and of its container, in a pattern in double quotes."""


def _said(service: Installed) -> dict[str, object]:
    return {
        "directory": service.directory,
        "unit": service.unit_name,
        "restart": "start" if service.follows else service.restart,
        "held": service.held,
        "seconds": service.seconds,
    }


PRUNE_SOFTWARE = """\
for software in {environments}/*; do
        grep -qsF "$software/" {root}/*/generations/*/*.service || rm -rf "$software"
    done"""


def _prune_software(software: str | None) -> str:
    """Return what removes the environments or releases that no generation uses any more."""
    if software is None:
        return ":"
    return PRUNE_SOFTWARE.format(environments=software, root=ROOT)
