"""Gateways without a connection to an engine that already runs: skipped and unaffected services."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.roles.answers import Answers, converged
from tests.roles.conftest import Planned
from tests.roles.fleets import edit
from tests.roles.test_skipped_hosts import failed, gateway_files, log_lines, run

pytestmark = pytest.mark.usefixtures("offline_cache")

UNREACHED = ("unreached", "10.0.9.8 11434")


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def add_engine(project: Path) -> None:
    engine = '{engine: ollama, url: "http://10.0.9.8:11434", context: 65536, output: 8192}'
    edit(project, "prod", "  cloud: {provider", f"  elsewhere: {engine}\n  cloud: {{provider")


def converged_hosts(plans: Planned) -> dict[str, Answers]:
    """Return the answers of all hosts after a complete run."""
    hosts = plans("prod").hosts
    found = {name: converged(plan) for name, plan in hosts.items()}
    for name in ("gw-a", "gw-b"):
        found[name] |= gateway_files(hosts[name])
    return found


@pytest.fixture(name="project")
def with_engine(project: Path) -> Path:
    add_engine(project)
    return project


def test_a_gateway_that_newly_needs_the_engine_is_skipped(
    plans: Planned, project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    edit(project, "prod", "  elsewhere:", "  other:")
    found = converged_hosts(plans)
    edit(project, "prod", "  other:", "  elsewhere:")
    edit(project, "prod", "MIRRORFLEET_KEY_ROOT}", "MIRRORFLEET_KEY_ROOT}, rotation: 2")
    found["gw-a"][UNREACHED] = ()
    done, changed = run(plans, found)
    assert changed["gw-a"] == ["keys", "former keys"]
    assert changed["gw-b"] == ["keys", "generation", "restart", "former keys"]
    assert failed(done) >= {"gw-a"}
    assert (
        "[@fake/gw-a] skipped: the gateway keeps its running generation, because the new one needs "
        "'elsewhere' at http://10.0.9.8:11434, without a reply from there. Start it or open its "
        "port, then run again." in log_lines(caplog)
    )


def test_a_gateway_that_already_uses_the_engine_is_changed(
    plans: Planned, project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = converged_hosts(plans)
    edit(project, "prod", "workers: auto", "workers: 3")
    for name in ("gw-a", "gw-b"):
        found[name][UNREACHED] = ()
    done, changed = run(plans, found)
    assert changed == {name: ["generation", "restart"] for name in ("gw-a", "gw-b")}
    assert not failed(done)
    warning = "warning: no reply from http://10.0.9.8:11434 within 3 seconds"
    assert any(line.startswith(f"@fake/gw-a: {warning}") for line in log_lines(caplog))


def test_a_developer_is_skipped_if_no_gateway_reaches_the_new_model(
    plans: Planned, project: Path
) -> None:
    found = converged_hosts(plans)
    edit(project, "prod", "haiku: helper", "haiku: elsewhere")
    for name in ("gw-a", "gw-b"):
        found[name][UNREACHED] = ()
    done, changed = run(plans, found)
    assert "dev-1" not in changed
    assert {"dev-1", "dev-2"} <= failed(done)
