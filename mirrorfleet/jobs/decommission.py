"""All of ours off a host that has no part in its fleet any more: for deploys/remove_hosts.py."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch

from pyinfra.api import deploy

from mirrorfleet import runtime
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.ollama.render import ELSEWHERE
from mirrorfleet.runtime import cli_options, service_removal
from mirrorfleet.runtime.commands import Commands, operation, script
from mirrorfleet.runtime.observe import Observation, Question
from mirrorfleet.runtime.paths import ROOT, STATE
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.reserved import RELEASE

KEPT = {
    f"{STATE}/weights": "models",
    f"{STATE}/ollama": "models",
    f"{STATE}/postgres": "database",
}
"""What took hours to fetch, or cannot be had again, and stays unless it is asked for, by a word."""

ASKED = ("vllm-*", "ollama", "litellm", "redis", "postgres*", "front")
"""Services that somebody may still ask: they leave by mirror.py, which knows when."""


def questions(plan: HostPlan) -> list[Question]:
    """What must be known of a host: what of ours is there."""
    return [
        service_removal.question("*"),
        *(("path", path) for path in (ROOT, STATE, *KEPT, ELSEWHERE)),
    ]


def refusals(plan: HostPlan, seen: Observation) -> list[str]:
    """Why the host cannot be cleared: it has a part in the fleet, or was not let go yet."""
    if parts := list(_parts(plan)):
        return [
            f"still has a part in the fleet file: {', '.join(parts)}. Take it out of these lists "
            "and run deploys/mirror.py first, so that nobody asks it any more."
        ]
    return [
        f"still runs mirrorfleet-{name}.service. Run deploys/mirror.py first: it lets it go when "
        "nobody asks it any more."
        for name in sorted(seen.services)
        if any(fnmatch(name, asked) for asked in ASKED)
    ]


def changes(plan: HostPlan, seen: Observation) -> Iterator[Change]:
    """All that will be removed."""
    for name in sorted(seen.services):
        yield Change(f"mirrorfleet-{name}.service will be stopped and removed")
    stays = _stays(seen)
    if ROOT in seen.paths:
        yield Change(f"{ROOT} will be removed{', and our system users' if _users(seen) else ''}")
    if STATE in seen.paths and (ROOT in seen.paths or not stays):
        but = f" but for {' and '.join(stays)}" if stays else ""
        yield Change(f"{STATE} will be removed{but}")
        if ELSEWHERE in seen.paths and not stays:
            yield Change("the user mirrorfleet-ollama stays: models_directory holds files of it")


def fetch(plan: HostPlan, seen: Observation) -> None:
    """Bring nothing: no host is sent anything."""


@deploy("Host")
def clear() -> None:
    """Remove services, firewall, software, state and users of ours from this host."""
    remove(name="all that is ours")


@operation
def remove() -> Commands:
    """Remove what is there, if anything is."""
    if any(changes(runtime.plan(), runtime.seen())):
        users = _users(runtime.seen())
        yield script(
            CLEAR.format(
                root=ROOT,
                state=STATE,
                release=RELEASE,
                stays=" ".join(f"! -path {path}" for path in _stays(runtime.seen())),
                users=REMOVE_USERS.format(users=" ".join(users)) if users else "",
            )
        )


# Everything is stopped before anything is removed: a service that cannot be keeps all.
CLEAR = """\
for path in /etc/systemd/system/mirrorfleet-*; do
    [ -f "$path" ] || continue
    unit=${{path##*/}}
    systemctl --quiet disable --now "$unit" || true
    if systemctl --quiet is-active "$unit"; then
        echo "$unit cannot be stopped" >&2
        exit 1
    fi
done
rm -rf /etc/systemd/system/mirrorfleet-*
systemctl daemon-reload
nft delete table inet mirrorfleet 2>/dev/null || true
{release}
find /usr/local/bin -maxdepth 1 -lname '{root}/*' -delete
rm -rf {root}
find {state} -mindepth 1 -maxdepth 1 {stays} -exec rm -rf {{}} +
rmdir {state} 2>/dev/null || true
{users}
"""

REMOVE_USERS = """\
for service in {users}; do
    ! grep -q "^mirrorfleet-$service:" /etc/passwd || userdel "mirrorfleet-$service"
done
"""

USERS = ("vllm", "ollama", "litellm", "redis", "postgres", "front")


def _users(seen: Observation) -> list[str]:
    """Return the services whose users go: another user must not come by the number of one whose
    files stay."""
    if _stays(seen):
        return []
    return [name for name in USERS if name != "ollama" or ELSEWHERE not in seen.paths]


def _stays(seen: Observation) -> list[str]:
    """Return what is kept of a host's state, unless `--data models=remove` or the like is said."""
    return [
        path
        for path, word in KEPT.items()
        if path in seen.paths and cli_options.said(word) != "remove"
    ]


def _parts(plan: HostPlan) -> Iterator[str]:
    for engine in plan.engines:
        yield f"models.{engine.model}.hosts"
    for model in plan.ollama.models if plan.ollama else ():
        yield f"models.{model.model}.hosts"
    if plan.redis:
        yield "gateway.redis.install"
    if plan.postgres:
        yield "gateway.database.install"
    if plan.gateway:
        yield "gateway.hosts"
    if plan.load_balancer:
        yield "front.hosts"
    if plan.clients:
        yield "developers"
