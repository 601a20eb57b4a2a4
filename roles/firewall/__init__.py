"""The firewall of a host: a table of nftables of our own, with rules for ports of ours only.

It opens before anything else is changed, and closes when everything else is done: a gateway that
is about to leave asks its engines until nobody asks it.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path

from pyinfra.api import StringCommand, deploy

from mirrorfleet import runtime
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.firewall import render
from mirrorfleet.roles.firewall.render import Doors
from mirrorfleet.runtime.commands import Commands, operation, script
from mirrorfleet.runtime.deferred_removal import last
from mirrorfleet.runtime.dns import networks
from mirrorfleet.runtime.observe import Observation, Question, Unit
from mirrorfleet.runtime.payload import UNPACK, Member, pack
from mirrorfleet.runtime.report import Change, lacking
from mirrorfleet.runtime.rollout import answers_others, is_skipped
from mirrorfleet.runtime.text import template

UNIT = "mirrorfleet-firewall.service"
UNIT_PATH = f"/etc/systemd/system/{UNIT}"
DROP_IN = "/etc/systemd/system/mirrorfleet-.service.d/firewall.conf"
"""What systemd adds to each unit whose name begins so. That restarts none."""

LOADED = f"{render.DIRECTORY}/loaded"
"""What the kernel was seen to hold once it had the rules: each hand that changes it shows."""

PACKAGES = ("nftables",)


def questions(plan: HostPlan) -> list[Question]:
    """What must be known of a host, even one that had doors and is to have none."""
    asked: list[Question] = [("content", render.RULES)]
    if _has_doors(plan):
        asked += [("package", name) for name in PACKAGES]
        asked += [("content", LOADED), ("unit", UNIT), ("table", render.TABLE)]
        asked += [("tree", path) for path in units()]
        asked += [("port", str(port)) for port in wanted(plan)]
    if plan.firewall:
        asked += [("route", address) for address in plan.firewall.upstream_routes]
    return asked


def refusals(plan: HostPlan, seen: Observation) -> list[str]:
    """Why the doors would shut out somebody who has to come in."""
    whys = [*_strangers(plan, seen), *_shut_out(plan, seen)]
    return whys if answers_others(plan) else [*lacking("engines", whys)]


def changes(plan: HostPlan, seen: Observation) -> Iterator[Change]:
    """All that will be changed about the doors of a host."""
    if is_skipped(plan):
        return
    if not _has_doors(plan):
        if render.RULES in seen.contents:
            yield Change(f"{render.RULES} and {UNIT} will be removed")
        return
    for name in PACKAGES:
        if name not in seen.packages:
            yield Change(f"package {name} is missing")
    yield from _drift(wanted(plan), seen)


def fetch(plan: HostPlan, seen: Observation) -> None:
    """Bring nothing: the rules are made here."""


@deploy("Firewall")
def admit() -> None:
    """Let in whoever is to come in; whoever could before still can."""
    if not _has_doors(runtime.plan()) or is_skipped(runtime.plan()):
        return
    runtime.ensure_packages(*PACKAGES)
    open_doors(name="rules: admit the new, keep the old")


@deploy("Firewall")
def close() -> None:
    """Close the doors to everybody else."""
    if not is_skipped(runtime.plan()):
        close_doors(name="rules: as the fleet file says")


@operation
def open_doors() -> Commands:
    """Load rules that admit whom the plan admits, and whom the rules of before do."""
    doors = render.both(wanted(runtime.plan()), _before(runtime.seen()))
    if any(_drift(doors, runtime.seen())):
        yield _load(doors)


@operation
def close_doors() -> Commands:
    """Load rules that admit whom the plan admits."""
    doors = wanted(runtime.plan())
    if not doors and render.RULES in runtime.seen().contents:
        yield from last([script(REMOVE)])
    elif doors != render.both(doors, _before(runtime.seen())):
        yield from last([_load(doors)])


def wanted(plan: HostPlan) -> Doors:
    """Return the doors of the plan. Raises ``DeployError`` for a name without an address."""
    doors = plan.firewall.rules if plan.firewall else ()
    return {
        door.port: frozenset(each for who in door.allowed_sources for each in networks(who))
        for door in doors
    }


def unit() -> str:
    """Return the unit that loads the rules at boot."""
    return template(render.TEMPLATES / "unit.service.j2", rules=render.RULES, table=render.TABLE)


def units() -> dict[str, str]:
    """Return the files that systemd reads, by path."""
    drop_in = template(
        render.TEMPLATES / "drop-in.conf.j2", unit=UNIT, rules=render.RULES, table=render.TABLE
    )
    return {UNIT_PATH: unit(), DROP_IN: drop_in}


def _has_doors(plan: HostPlan) -> bool:
    return plan.firewall is not None and bool(plan.firewall.rules)


def _before(seen: Observation) -> Doors:
    return render.doors(seen.contents.get(render.RULES, b"").decode(errors="replace"))


def _drift(doors: Doors, seen: Observation) -> Iterator[Change]:
    """Yield how a host differs from one that has these doors and no others."""
    rules = render.rules(doors)
    found = seen.contents.get(render.RULES)
    if found != rules.encode():
        how = "differs" if found is not None else "is missing"
        yield Change(f"{render.RULES} {how}", old=render.RULES, new=rules)
    elif render.TABLE not in seen.tables:
        yield Change(f"table {render.TABLE} of nftables is not loaded")
    elif seen.contents.get(LOADED) != held(rules, seen.tables[render.TABLE]):
        yield Change(f"table {render.TABLE} of nftables is not what we loaded")
    for path, text in units().items():
        if seen.files.get(path) != f"644 root:root {_digest(text)}":
            how = "differs" if path in seen.files else "is missing"
            yield Change(f"{path} {how}", old=path, new=text)
    state = seen.units.get(UNIT, Unit())
    if found is not None and (state.active, state.enabled) != ("active", "enabled"):
        yield Change(f"{UNIT} is {state.active}, {state.enabled}")


def held(rules: str, table: str) -> bytes:
    """Return what is noted of rules that were loaded, and of the table that was seen then."""
    return f"{_digest(rules)} {table}\n".encode()


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


# Read without being loaded first: a kernel or an nft that cannot have such rules says so while the
# ones before still hold.
LOAD = f"""\
mkdir -p {render.DIRECTORY}
cd {render.DIRECTORY}
rm -rf new loaded
mkdir new
(cd new && {{unpack}})
nft -c -f new/rules.nft
mv -f new/rules.nft rules.nft
mv -f new/{UNIT} {UNIT_PATH}
mkdir -p {Path(DROP_IN).parent}
mv -f new/firewall.conf {DROP_IN}
rm -rf new {UNIT_PATH}.d
systemctl daemon-reload
systemctl --quiet enable {UNIT}
systemctl reload-or-restart {UNIT}
held=$(nft -s list table inet {render.TABLE})
echo "{{digest}} $(printf %s "$held" | sha256sum | cut -d ' ' -f 1)" >loaded
"""

REMOVE = f"""\
systemctl --quiet disable --now {UNIT} || true
rm -rf {UNIT_PATH} {UNIT_PATH}.d {Path(DROP_IN).parent} {render.DIRECTORY}
systemctl daemon-reload
printf 'table inet {render.TABLE}\\ndelete table inet {render.TABLE}\\n' | nft -f -
"""


def _load(doors: Doors) -> StringCommand:
    rules = render.rules(doors)
    members = [Member(Path(path).name, text.encode()) for path, text in units().items()]
    text = LOAD.format(unpack=UNPACK, digest=_digest(rules))
    return script(text, pack([Member("rules.nft", rules.encode()), *members]))


def _strangers(plan: HostPlan, seen: Observation) -> Iterator[str]:
    """A door on a port that somebody else has would shut out whoever comes to that one."""
    for port in wanted(plan):
        for owner in sorted(seen.listeners.get(port, frozenset())):
            # The name of a process, which its user chooses, is no longer than 15 characters.
            if not (owner.startswith("mirrorfleet-") and owner.endswith(".service")):
                yield (
                    f"has port {port} taken by {owner}, and our firewall is to guard it. "
                    "Stop that, or write another port."
                )


def _shut_out(plan: HostPlan, seen: Observation) -> Iterator[str]:
    """A gateway that comes to an engine from an address that the engine's door does not know."""
    for address, admits in (plan.firewall.upstream_routes if plan.firewall else {}).items():
        source = seen.routes.get(address)
        if source in (None, address):
            continue
        known = {each for who in admits for each in networks(who)}
        if not any(ip_address(source) in each for each in known):
            yield (
                f"reaches the engines at {address} from {source}, which their firewall does not "
                f"admit. Write it under firewall.engines, or as this host's address."
            )
