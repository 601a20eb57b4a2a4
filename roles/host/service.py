"""A service in generations: each complete in a directory of its own, `current` links to one.

    /opt/mirrorfleet/litellm/
        generations/3fa2c81b90de/    config.yaml  environment  mirrorfleet-litellm.service
        current -> generations/3fa2c81b90de
        environments/…               the software, one directory per lock file

A generation's name is the digest of all it holds. The process carries that name in its
environment, so what runs is known, whatever was written when.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath

from roles.host.commands import Commands, script
from roles.host.observe import Observation, Question, Unit
from roles.host.payload import UNPACK, Member, pack, tree_digest
from roles.host.places import ROOT
from roles.host.text import environment_file

KEPT = 3
"""Generations that stay on the host for going back."""

NEVER = 78
"""How ``ready`` ends when waiting will not help; it has said why."""


@dataclass(frozen=True)
class Service:
    """What is to run, and how to know that it does. ``ready`` and ``check`` are shell commands.

    ``software`` is the directory of its Python environment or release. ``environment`` holds the
    settings and secrets of the process and goes into a file for root's eyes only; ``files`` are
    readable by the service's group. ``ready`` succeeds when the service serves on its ``$port``,
    which may take ``seconds``; it may end with ``NEVER``. ``check`` is run as ``user`` in a new
    generation's directory, before it is accepted.
    """

    name: str
    user: str
    port: int
    software: str
    unit: str
    environment: dict[str, str]
    files: Mapping[str, str]
    ready: str
    seconds: int
    check: str = "true"

    @property
    def directory(self) -> str:
        return f"{ROOT}/{self.name}"

    @property
    def unit_name(self) -> str:
        return f"mirrorfleet-{self.name}.service"

    @property
    def unit_path(self) -> str:
        return f"/etc/systemd/system/{self.unit_name}"

    @property
    def generation(self) -> str:
        """The digest that names the generation: twelve hexadecimal digits."""
        digest = sha256()
        for part in (self.unit, self._environment(), *sorted(self.files), *self._contents()):
            digest.update(f"{len(part)}:{part}".encode())
        return digest.hexdigest()[:12]

    @property
    def generation_path(self) -> str:
        return f"{self.directory}/generations/{self.generation}"

    def members(self) -> list[Member]:
        """Return the files of the generation."""
        environment = (
            f"{self._environment()}MIRRORFLEET_GENERATION={self.generation}\n"
            f"MIRRORFLEET_PORT={self.port}\n"
        )
        return [
            Member("environment", environment.encode(), "600"),
            Member(self.unit_name, self.unit.encode()),
            *(
                Member(name, content.encode(), "640", group=self.user)
                for name, content in self.files.items()
            ),
        ]

    def _environment(self) -> str:
        return environment_file(self.environment)

    def _contents(self) -> list[str]:
        return [self.files[name] for name in sorted(self.files)]


def questions(name: str, user: str, port: int) -> list[Question]:
    """Return what must be asked of a host to know whether a service is as it should be."""
    unit = f"mirrorfleet-{name}.service"
    return [
        ("user", user),
        ("trees", f"{ROOT}/{name}/generations"),
        ("link", f"{ROOT}/{name}/current"),
        ("file", f"/etc/systemd/system/{unit}"),
        ("unit", unit),
        ("port", str(port)),
    ]


def refusals(service: Service, seen: Observation) -> list[str]:
    """Return who else listens on the service's port: started there, it would take another one."""
    strangers = seen.listeners.get(service.port, frozenset()) - {service.unit_name}
    return [
        f"has port {service.port} taken by {stranger}, where {service.unit_name} is to listen. "
        "Stop that, or write another port."
        for stranger in sorted(strangers)
    ]


def is_placed(service: Service, seen: Observation) -> bool:
    """Is the generation on the host, with nothing in it changed by another hand?"""
    expected = tree_digest(service.members(), group=service.user)
    return seen.trees.get(service.generation_path) == expected


def is_started(service: Service, seen: Observation) -> bool:
    """Has the host started this generation, and will it after a reboot?"""
    unit = seen.units.get(service.unit_name, Unit())
    content = sha256(service.unit.encode()).hexdigest()
    return (
        is_placed(service, seen)
        and seen.links.get(f"{service.directory}/current") == f"generations/{service.generation}"
        and seen.files.get(service.unit_path) == f"644 root:root {content}"
        and (unit.active, unit.enabled) == ("active", "enabled")
        and unit.running == service.generation
        and not unit.needs_reload
        and f"{service.unit_path}.d/" not in unit.drop_ins
    )


def is_listening(service: Service, seen: Observation) -> bool:
    """Does the service's own unit answer on its port? One that starts or dies does not."""
    return service.unit_name in seen.listeners.get(service.port, frozenset())


# A generation gets its name when it is complete and its check has passed. The check has the
# environment that the service will have, and its user. A tree of the same name that another hand
# has changed is replaced, and `current` goes with it: so long as the link is missing, a next run
# knows that the restart is still owed.
PLACE = """\
mkdir -p {directory}/generations
cd {directory}
rm -rf generations/*.new
mkdir -m 750 generations/{generation}.new
chgrp {user} generations/{generation}.new
(cd generations/{generation}.new && {unpack})
(
    cd generations/{generation}.new && set -a && . ./environment &&
    exec runuser -u {user} -- {check}
) || {{
    rm -rf generations/{generation}.new
    echo "{unit}: the new generation is refused; what ran before runs on" >&2
    exit 1
}}
if [ -e generations/{generation} ]; then
    [ "$(readlink current)" != generations/{generation} ] || rm current
    rm -rf generations/{generation}
fi
mv generations/{generation}.new generations/{generation}
"""


def place(service: Service, seen: Observation) -> Commands:
    """Put the generation, checked, beside the one that runs. Nothing that runs is touched."""
    if is_placed(service, seen):
        return
    yield script(
        PLACE.format(
            directory=service.directory,
            generation=service.generation,
            user=service.user,
            unit=service.unit_name,
            check=service.check,
            unpack=UNPACK,
        ),
        pack(service.members()),
    )


SWITCH = """\
set +e
cd {directory}
unit={unit}
previous=$(readlink current | sed 's|^generations/||')

activate() {{
    touch "generations/$1" && # the last to be used are kept
    ln -sfn "generations/$1" current.new && mv -fT current.new current &&
    install -m 644 "generations/$1/$unit" "/etc/systemd/system/.$unit" &&
    mv -f "/etc/systemd/system/.$unit" "/etc/systemd/system/$unit" &&
    rm -rf "/etc/systemd/system/$unit.d" &&
    systemctl daemon-reload && systemctl --quiet enable "$unit" &&
    {{ systemctl --quiet reset-failed "$unit" || true; }} && systemctl restart "$unit"
}}
ours() {{
    ss -Hltnp "sport = :$port" | grep -o 'pid=[0-9]*' | while IFS== read -r _ pid; do
        grep -q "/$unit" "/proc/$pid/cgroup" && echo yes
    done | grep -q yes
}}
restarts() {{ systemctl show -p NRestarts --value "$unit"; }}
# The port is that of the generation: one that is gone back to may have another.
serves() {{
    port=$(sed -n 's/^MIRRORFLEET_PORT=//p' current/environment)
    end=$(($(date +%s) + {seconds}))
    before=$(restarts)
    while [ "$(date +%s)" -lt "$end" ]; do
        if ours; then
            {ready}
            case $? in 0) return 0 ;; {never}) return 1 ;; esac
        fi
        [ "$(restarts)" = "$before" ] || return 1
        sleep 0.3
    done
    return 1
}}

prune() {{
    (cd generations && ls -t | grep -vx {generation} | tail -n +{kept} | xargs -r rm -rf)
    for software in {environments}/*; do
        grep -qsF "$software/" {root}/*/generations/*/*.service || rm -rf "$software"
    done
}}

if {start} && serves; then
    prune
    exit 0
fi
echo "{unit}: not ready after the switch; its last words:" >&2
journalctl --no-pager -q -o cat -n 25 -u "$unit" >&2
if [ -n "$previous" ] && [ "$previous" != {generation} ] && [ -d "generations/$previous" ]; then
    activate "$previous" && serves && echo "{unit}: rolled back to $previous, which serves" >&2
else
    systemctl stop "$unit"
    rm current
fi
exit 1
"""


def switch(service: Service, seen: Observation) -> Commands:
    """Make the generation current, restart, wait until it serves; go back if it does not."""
    started = is_started(service, seen)
    if started and is_listening(service, seen):
        return
    yield script(
        SWITCH.format(
            directory=service.directory,
            unit=service.unit_name,
            generation=service.generation,
            start="true" if started else f"activate {service.generation}",
            seconds=service.seconds,
            ready=service.ready,
            never=NEVER,
            kept=KEPT,
            root=ROOT,
            environments=str(PurePosixPath(service.software).parent),
        )
    )
