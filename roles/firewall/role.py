"""The firewall of a host: its own nftables table, with rules for the fleet's ports only.

A run adds rules before services change, and removes rules afterwards: a gateway that will be
removed can reach its engines until no client uses it.
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
from mirrorfleet.roles.firewall.render import Rules
from mirrorfleet.runtime import packages
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.deferred_removal import after_dependents
from mirrorfleet.runtime.dns import networks
from mirrorfleet.runtime.facts import Content, Fact, File, Listening, Package, Unit
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.payload import UNPACK, Member, pack
from mirrorfleet.runtime.problems import error, skipping
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Role, Step
from mirrorfleet.runtime.rollout import has_shared_services, is_host_skipped
from mirrorfleet.runtime.shell import shell
from mirrorfleet.runtime.text import template

FILES = Path(__file__).parent / "files"
UNIT = "mirrorfleet-firewall.service"
UNIT_PATH = f"/etc/systemd/system/{UNIT}"
DROP_IN = "/etc/systemd/system/mirrorfleet-.service.d/firewall.conf"
"""A drop-in for all units of Mirrorfleet, by the prefix of their names. It restarts none."""

LOADED = f"{render.DIRECTORY}/loaded"
"""A digest of the table after it was loaded, which shows changes by other programs."""

PACKAGES = ("nftables",)


class Firewall(Role):
    """The firewall of a host: adds rules before services change, removes rules after the last."""

    title = "Firewall"
    removable_services = ("firewall",)

    def facts(self, plan: HostPlan) -> list[Fact[Any]]:
        needed: list[Fact[Any]] = [Content(render.RULES)]
        if _has_rules(plan):
            needed += [Package(name) for name in PACKAGES]
            needed += [Content(LOADED), Unit(UNIT), Table(render.TABLE)]
            needed += [File(path) for path in units()]
            needed += [Listening(port) for port in desired_rules(plan)]
        if plan.firewall:
            needed += [Route(address) for address in plan.firewall.upstream_routes]
        return needed

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        found = [*_port_conflicts(plan, observed), *_blocked_routes(plan, observed)]
        yield from found if has_shared_services(plan) else skipping("engines", found)

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        if is_host_skipped(plan):
            return
        if not _has_rules(plan):
            if observed[Content(render.RULES)] is not None:
                yield Change(f"{render.RULES} and {UNIT} will be removed")
            return
        yield from packages.missing(observed, PACKAGES)
        yield from _drift(desired_rules(plan), observed)

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        if not _has_rules(plan) or is_host_skipped(plan):
            return ()
        return (
            Step("system packages", self.install_packages),
            Step("rules: add new, keep former", self.open),
        )

    def install_packages(self, plan: HostPlan, observed: Observation) -> Commands:
        """Install nft, unless the host has it."""
        yield from packages.install(PACKAGES, observed)

    def open(self, plan: HostPlan, observed: Observation) -> Commands:
        """Load rules that allow the sources in the plan and those of the present rules."""
        rules = render.merged(desired_rules(plan), _present_rules(observed))
        if any(_drift(rules, observed)):
            yield _load(rules)

    def remove(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        if is_host_skipped(plan):
            return ()
        return (Step("rules: as the fleet file says", self.close),)

    def close(self, plan: HostPlan, observed: Observation) -> Commands:
        """Load rules that allow only the sources in the plan."""
        rules = desired_rules(plan)
        if not rules and observed[Content(render.RULES)] is not None:
            yield from after_dependents([script(_shell("remove.sh"))])
        elif rules != render.merged(rules, _present_rules(observed)):
            yield from after_dependents([_load(rules)])

    def files(self, plan: HostPlan, observed: Observation) -> Iterator[tuple[str, str]]:
        if _has_rules(plan):
            try:
                yield render.RULES, render.rules_file(desired_rules(plan))
            except DeployError as error:  # this machine cannot resolve a name
                yield render.RULES, f"# {plan.name} {error}\n"


def desired_rules(plan: HostPlan) -> Rules:
    """Return the rules of the plan. Raises ``DeployError`` for a name without an address."""
    rules = plan.firewall.rules if plan.firewall else ()
    return {
        rule.port: frozenset(
            network for source in rule.allowed_sources for network in networks(source)
        )
        for rule in rules
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


def _has_rules(plan: HostPlan) -> bool:
    return plan.firewall is not None and bool(plan.firewall.rules)


def _present_rules(observed: Observation) -> Rules:
    return render.parse_rules((observed[Content(render.RULES)] or b"").decode(errors="replace"))


def _drift(desired: Rules, observed: Observation) -> Iterator[Change]:
    """Yield how the host's firewall differs from one with exactly the desired rules."""
    rules = render.rules_file(desired)
    found, table = observed[Content(render.RULES)], observed[Table(render.TABLE)]
    if found != rules.encode():
        how = "differs" if found is not None else "is missing"
        yield Change(f"{render.RULES} {how}", old=render.RULES, new=rules)
    elif table is None:
        yield Change(f"table {render.TABLE} of nftables is not loaded")
    elif observed[Content(LOADED)] != load_record(rules, table):
        yield Change(
            f"table {render.TABLE} of nftables was changed since it was loaded", by_hand=True
        )
    for path, text in units().items():
        if observed[File(path)] != f"644 root:root {_digest(text)}":
            how = "differs" if observed[File(path)] is not None else "is missing"
            yield Change(f"{path} {how}", old=path, new=text)
    state = observed[Unit(UNIT)]
    if found is not None and (state.active, state.enabled) != ("active", "enabled"):
        yield Change(f"{UNIT} is {state.active}, {state.enabled}")


def load_record(rules: str, table: str) -> bytes:
    """Return the record of loaded rules: their digest, and the digest of the resulting table."""
    return f"{_digest(rules)} {table}\n".encode()


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _load(desired: Rules) -> StringCommand:
    rules = render.rules_file(desired)
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


def _port_conflicts(plan: HostPlan, observed: Observation) -> Iterator[Problem]:
    """Yield other processes on the ports of rules: the rules would block their clients."""
    for port in desired_rules(plan):
        for owner in sorted(observed[Listening(port)]):
            # A process, whose user chooses its name, cannot pass for a unit: names end after 15
            # characters.
            if not (owner.startswith("mirrorfleet-") and owner.endswith(".service")):
                yield error(
                    f"port {port} is in use by {owner}, whose clients the firewall would block.",
                    f"Stop {owner}, or choose another port.",
                )


def _blocked_routes(plan: HostPlan, observed: Observation) -> Iterator[Problem]:
    """Yield source addresses of a gateway that the firewalls of its engines do not allow."""
    for address, allowed in (plan.firewall.upstream_routes if plan.firewall else {}).items():
        source = observed[Route(address)]
        if source in (None, address):
            continue
        known = {network for name in allowed for network in networks(name)}
        if not any(ip_address(source) in network for network in known):
            yield error(
                f"the gateway connects to the engines at {address} from {source}, which their "
                "firewall does not allow.",
                f"Add {source} to firewall.engines, or set it as this host's address.",
            )
