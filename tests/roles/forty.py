"""A fleet of 40 hosts on pyinfra's @fake connector, of which two fail: for tests and a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pyinfra.api import Inventory

from mirrorfleet import fleet
from mirrorfleet.cli.live import inventory as live_inventory
from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime import pyinfra_speed
from tests.roles.answers import Answers, bare, converged, lines
from tests.roles.fake import Traffic, recorded

DEVELOPERS = [f"dev-{number:02}" for number in range(1, 38)]
FULL = {"dev-07": "no space left on device", "dev-31": "no space left on device"}


def write(directory: Path) -> Path:
    """Write the fleet file beside the lab's, and return its path."""
    file = directory / "inventories" / "lab.yml"
    addresses = "".join(
        f"  {name}: {{address: 10.77.1.{number}}}\n"
        for number, name in enumerate(DEVELOPERS, start=1)
    )
    text = file.read_text("utf-8")
    text = text.replace("  dev:  {address: 10.77.0.31}\n", addresses)
    text = text.replace("hosts: [dev]", f"hosts: [{', '.join(DEVELOPERS)}]")
    found = directory / "inventories" / "forty.yml"
    found.write_text(text.replace("name: lab", "name: forty"), "utf-8")
    return found


@contextmanager
def hosts(
    answers: Mapping[str, Answers], failing: Mapping[str, str]
) -> Iterator[Mapping[str, Traffic]]:
    """During the block, live commands find hosts that give these answers; yield their traffic.

    Hosts in ``failing`` fail a step with this line on standard error.
    """

    def inventory(file: Path, data: Mapping[str, Any]) -> Inventory:
        planned = fleet.plan(fleet.load(file))
        found = [
            (f"@fake/{name}", _data(plan, answers[name], failing.get(name)))
            for name, plan in planned.hosts.items()
        ]
        made = Inventory((found, {}), override_data=data)  # type: ignore[no-untyped-call]
        for host in made:
            host.name = host.name.removeprefix("@fake/")
        return made

    pyinfra_speed.apply()
    with recorded() as traffic, patch.object(live_inventory, "inventory", inventory):
        yield traffic


def on_first_run(file: Path) -> dict[str, Answers]:
    """Return the answers of hosts that have nothing of the fleet."""
    return {name: bare(plan) for name, plan in fleet.plan(fleet.load(file)).hosts.items()}


def on_later_runs(file: Path) -> dict[str, Answers]:
    """Return the answers of hosts that match the fleet file."""
    return {name: converged(plan) for name, plan in fleet.plan(fleet.load(file)).hosts.items()}


def _data(plan: HostPlan, answers: Answers, failure: str | None) -> dict[str, Any]:
    fails = {"install": {"success": False, "stderr": failure}} if failure else {}
    return {
        "plan": plan,
        "_sudo": True,
        "fake_responses": {"sh -s": lines(answers), **fails},
        "fake_delay": 0,
        "fake_delay_jitter": 0,
    }
