"""Services in generations, the firewall and reserved ports: with the real systemd and nft."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

from pyinfra.api.command import PyinfraCommand

from mirrorfleet.jobs.decommission import Decommission
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.firewall import render, role
from mirrorfleet.roles.firewall.facts import Table
from mirrorfleet.roles.ports.role import Ports
from mirrorfleet.runtime import generations, service_removal
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.facts import Content, Fact, File, Services, Unit
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.service import NEVER, Service, facts
from tests.kills.booted import Ways
from tests.kills.case import Case
from tests.kills.world import Host

UNIT = """\
[Service]
User=daemon
EnvironmentFile=/opt/mirrorfleet/demo/current/environment
WorkingDirectory=/opt/mirrorfleet/demo/current
ExecStart=/usr/bin/python3 -m http.server 4000 --bind 127.0.0.1
StateDirectory=mirrorfleet/demo
[Install]
WantedBy=basic.target
"""

READY = f"""\
ready() {{
    grep -q serves current/config || return {NEVER}
    curl -fsS -o /dev/null http://127.0.0.1:4000/config
}}
"""


def demo(config: str) -> Service:
    """Return a service; one whose ``config`` does not serve is rolled back."""
    return Service(
        name="demo",
        user="daemon",
        port=4000,
        software=None,
        unit=UNIT,
        environment={"KEY": "a key of the tests"},
        files={"config": f"{config}\n"},
        hooks=READY,
        seconds=60,
    )


def ways(gateway: HostPlan) -> Iterator[tuple[str, Ways]]:
    """Yield the names and the ways."""
    one, other = _deployed("serves one"), _deployed("serves the other")
    yield "switch of generations", Ways(one, other)
    broken = replace(_deployed("is broken"), fails=True)
    yield "switch of generations: rolled back", Ways(broken, one, lambda host: _take(one, host))
    yield "removal of a service", Ways(one, _removed())
    rules = {4000: frozenset({ip_network("10.0.0.0/8")})}
    more = {4000: frozenset({ip_network("10.1.0.0/16")}), 5000: frozenset({ip_network("::1/128")})}
    yield "firewall", Ways(_firewall(rules), _firewall(more))
    yield "firewall: removal", Ways(_firewall(rules), _firewall({}))
    yield "reserved ports", Ways(_ports(gateway), _ports(replace(gateway, gateway=None)))
    yield "decommissioning", Ways(one, _decommissioned(gateway))


def _take(case: Case, host: Host) -> None:
    for command in case.commands(host.observe(case.facts)):
        host.complete(command)


def _deployed(config: str) -> Case:
    desired = demo(config)

    def commands(observed: Observation) -> Iterator[PyinfraCommand]:
        yield from generations.stage(desired, observed)
        yield from generations.switch(desired, observed)

    return Case(config, facts(desired.name, desired.user, desired.port), commands)


def _removed() -> Case:
    return Case(
        "removal",
        [Services("demo")],
        lambda observed: service_removal.remove(observed[Services("demo")]),
    )


def _firewall(rules: render.Rules) -> Case:
    needed: list[Fact[Any]] = [Content(render.RULES), Content(role.LOADED)]
    needed += [Unit(role.UNIT), Table(render.TABLE), *map(File, role.units())]

    def commands(observed: Observation) -> Commands:
        if not rules:
            if observed[Content(render.RULES)] is not None:
                yield script(role._shell("remove.sh"))
        elif any(role._drift(rules, observed)):
            yield role._load(rules)

    return Case(f"rules for {len(rules)} ports", needed, commands)


def _ports(plan: HostPlan) -> Case:
    def commands(observed: Observation) -> Iterator[PyinfraCommand]:
        for step in (*Ports().apply(plan, observed), *Ports().remove(plan, observed)):
            yield from step.commands(plan, observed)

    return Case("ports" if plan.gateway else "no ports", Ports().facts(plan), commands)


def _decommissioned(plan: HostPlan) -> Case:
    def commands(observed: Observation) -> Commands:
        yield from Decommission().clear(plan, observed)

    return Case("decommissioned", [*Decommission().facts(plan)], commands)
