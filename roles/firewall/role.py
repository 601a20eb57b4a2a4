"""The firewall of a host: an nftables table of its own, with rules for the fleet's ports only.

It opens before services change, and closes after they have: a gateway that will be removed reaches
its engines until no client uses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from pyinfra.api import StringCommand
from pyinfra.api.exceptions import DeployError

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.firewall import render
from mirrorfleet.roles.firewall.facts import Route, Table
from mirrorfleet.roles.firewall.render import Doors
from mirrorfleet.runtime import packages
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.deferred_removal import last
from mirrorfleet.runtime.dns import networks
from mirrorfleet.runtime.facts import Content, Fact, File, Listening, Package, Unit
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.payload import UNPACK, Member, pack
from mirrorfleet.runtime.problems import error, skipping
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Role, Step
from mirrorfleet.runtime.rollout import answers_others, is_skipped
from mirrorfleet.runtime.shell import shell
from mirrorfleet.runtime.text import template

FILES = Path(__file__).parent / "files"
UNIT = "mirrorfleet-firewall.service"
UNIT_PATH = f"/etc/systemd/system/{UNIT}"
DROP_IN = "/etc/systemd/system/mirrorfleet-.service.d/firewall.conf"
"""What systemd adds to each unit whose name begins so. That restarts none."""

LOADED = f"{render.DIRECTORY}/loaded"
"""What the kernel was observed to hold once it had the rules: each hand that changes it shows."""

PACKAGES = ("nftables",)


class Firewall(Role):
    """The firewall of a host: opened before services change, closed after the last."""

    title = "Firewall"
    removable_services = ("firewall",)

    def facts(self, plan: HostPlan) -> list[Fact[Any]]:
        asked: list[Fact[Any]] = [Content(render.RULES)]
        if _has_doors(plan):
            asked += [Package(name) for name in PACKAGES]
            asked += [Content(LOADED), Unit(UNIT), Table(render.TABLE)]
            asked += [File(path) for path in units()]
            asked += [Listening(port) for port in desired_doors(plan)]
        if plan.firewall:
            asked += [Route(address) for address in plan.firewall.upstream_routes]
        return asked

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        found = [*_strangers(plan, observed), *_shut_out(plan, observed)]
        yield from found if answers_others(plan) else skipping("engines", found)

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        if is_skipped(plan):
            return
        if not _has_doors(plan):
            if observed[Content(render.RULES)] is not None:
                yield Change(f"{render.RULES} and {UNIT} will be removed")
            return
        yield from packages.missing(observed, PACKAGES)
        yield from _drift(desired_doors(plan), observed)

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        if not _has_doors(plan) or is_skipped(plan):
            return ()
        return (
            Step("system packages", self.install_packages),
            Step("rules: admit the new, keep the old", self.open),
        )

    def install_packages(self, plan: HostPlan, observed: Observation) -> Commands:
        """Install nft, if the host does not have it."""
        yield from packages.install(PACKAGES, observed)

    def open(self, plan: HostPlan, observed: Observation) -> Commands:
        """Load rules that admit the addresses in the plan, and those that the rules admit now."""
        doors = render.both(desired_doors(plan), _before(observed))
        if any(_drift(doors, observed)):
            yield _load(doors)

    def remove(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        if is_skipped(plan):
            return ()
        return (Step("rules: as the fleet file says", self.close),)

    def close(self, plan: HostPlan, observed: Observation) -> Commands:
        """Load rules that admit only the addresses in the plan."""
        doors = desired_doors(plan)
        if not doors and observed[Content(render.RULES)] is not None:
            yield from last([script(_shell("remove.sh"))])
        elif doors != render.both(doors, _before(observed)):
            yield from last([_load(doors)])

    def files(self, plan: HostPlan, observed: Observation) -> Iterator[tuple[str, str]]:
        if _has_doors(plan):
            try:
                yield render.RULES, render.rules(desired_doors(plan))
            except DeployError as error:  # a name that another network knows
                yield render.RULES, f"# {plan.name} {error}\n"


def desired_doors(plan: HostPlan) -> Doors:
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


def _before(observed: Observation) -> Doors:
    return render.doors((observed[Content(render.RULES)] or b"").decode(errors="replace"))


def _drift(doors: Doors, observed: Observation) -> Iterator[Change]:
    """Yield how a host differs from one that has these doors and no others."""
    rules = render.rules(doors)
    found, table = observed[Content(render.RULES)], observed[Table(render.TABLE)]
    if found != rules.encode():
        how = "differs" if found is not None else "is missing"
        yield Change(f"{render.RULES} {how}", old=render.RULES, new=rules)
    elif table is None:
        yield Change(f"table {render.TABLE} of nftables is not loaded")
    elif observed[Content(LOADED)] != held(rules, table):
        yield Change(f"table {render.TABLE} of nftables is not what we loaded")
    for path, text in units().items():
        if observed[File(path)] != f"644 root:root {_digest(text)}":
            how = "differs" if observed[File(path)] is not None else "is missing"
            yield Change(f"{path} {how}", old=path, new=text)
    state = observed[Unit(UNIT)]
    if found is not None and (state.active, state.enabled) != ("active", "enabled"):
        yield Change(f"{UNIT} is {state.active}, {state.enabled}")


def held(rules: str, table: str) -> bytes:
    """Return what is noted of rules that were loaded, and of the table that was observed then."""
    return f"{_digest(rules)} {table}\n".encode()


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _load(doors: Doors) -> StringCommand:
    rules = render.rules(doors)
    members = [Member(Path(path).name, text.encode()) for path, text in units().items()]
    text = UNPACK + _shell("load.sh", digest=_digest(rules))
    return script(text, pack([Member("rules.nft", rules.encode()), *members]))


def _shell(name: str, **arguments: str) -> str:
    return shell(
        FILES / name,
        directory=render.DIRECTORY,
        unit=UNIT,
        unit_path=UNIT_PATH,
        drop_in=DROP_IN,
        table=render.TABLE,
        **arguments,
    )


def _strangers(plan: HostPlan, observed: Observation) -> Iterator[Problem]:
    """A door on a port that somebody else has would shut out whoever comes to that one."""
    for port in desired_doors(plan):
        for owner in sorted(observed[Listening(port)]):
            # The name of a process, which its user chooses, is no longer than 15 characters.
            if not (owner.startswith("mirrorfleet-") and owner.endswith(".service")):
                yield error(
                    f"port {port} is in use by {owner}, and the firewall would close it to its "
                    "clients.",
                    f"Stop {owner}, or choose another port.",
                )


def _shut_out(plan: HostPlan, observed: Observation) -> Iterator[Problem]:
    """A gateway that comes to an engine from an address that the engine's door does not know."""
    for address, admits in (plan.firewall.upstream_routes if plan.firewall else {}).items():
        source = observed[Route(address)]
        if source in (None, address):
            continue
        known = {each for who in admits for each in networks(who)}
        if not any(ip_address(source) in each for each in known):
            yield error(
                f"the gateway reaches the engines at {address} from {source}, which their firewall "
                "does not admit.",
                f"Add {source} to firewall.engines, or set it as this host's address.",
            )
