"""The releases of the lab's fleet, for the record of what its tests prove."""

from __future__ import annotations

import pytest

from mirrorfleet import fleet
from mirrorfleet.engines.registry import ENGINES
from tests.lab import look
from tests.record import Part, ran_with, system


@pytest.fixture(scope="session", name="releases")
def of_the_lab(_lab: None) -> dict[Part, str]:
    """Return the releases that the fleet file installs, and the systems of its hosts."""
    found = fleet.load(look.FLEET)
    assert found.gateway
    systems = {system(look.run(host, "cat /etc/os-release")) for host in look.HOSTS}
    [(name, engine)] = {
        (name, installed.lock)
        for name, engine in ENGINES.items()
        for installed in engine.installed(found)
    }
    return {
        "client": found.developers["lab"].version,
        "gateway": found.gateway.version,
        "engine": f"{name} {engine}",
        "system": ", ".join(sorted(systems)),
    }


@pytest.fixture(autouse=True)
def _record(releases: dict[Part, str]) -> None:
    for part, release in releases.items():
        ran_with(part, release)
