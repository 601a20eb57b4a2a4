"""What only the live hosts know: all that speaks against the plan is said before any change."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from pyinfra.api.exceptions import DeployError

from mirrorfleet.planning import HostPlan
from tests.roles.answers import Answers, bare
from tests.roles.conftest import Planned
from tests.roles.fake import mirror, recorded
from tests.roles.fleets import edit

MACHINE = ("machine",)


def refused(hosts: dict[str, HostPlan], found: dict[str, Answers]) -> list[str]:
    """Run mirror.py on bare hosts but for what is found; return the refusals, one per line."""
    answers = {name: bare(plan) | found.get(name, {}) for name, plan in hosts.items()}
    with recorded() as traffic, pytest.raises(DeployError) as caught:
        mirror(hosts, answers)
    assert {host.looks for host in traffic.values()} == {1}
    assert not any(host.execs or host.uploads for host in traffic.values())
    said = str(caught.value).replace("@fake/", "").splitlines()
    assert said[0] == "nothing was changed:"
    return [line.strip() for line in said[1:]]


@pytest.mark.usefixtures("offline_cache")
def test_everything_on_every_host_at_once(plans: Planned, caplog: pytest.LogCaptureFixture) -> None:
    taken: Answers = {("port", "4000"): ("nginx.service",)}
    assert refused(
        dict(plans("lab").hosts),
        {
            "gpu": {("python", "python3"): ("3.9.2",)},
            "gw-1": {("python", "python3"): ("3.9.2",)},
            "gw-2": taken,
            "dev": {("path", "/usr/local/bin/claude"): ()},
        },
    ) == [
        "gw-1: Python is 3.9.2; the minimum is 3.11. Use Debian 12, Ubuntu 24.04 or newer.",
        "gw-2: port 4000 is in use by nginx.service, but mirrorfleet-litellm.service needs it. "
        "Stop nginx.service, or choose another port.",
    ]
    # What would not end the run is said with it.
    assert [" ".join(click.unstyle(line).split()) for line in caplog.messages] == [
        "[@fake/gpu] skipped: Python is 3.9.2; the minimum is 3.11. Use Debian 12, Ubuntu 24.04 or "
        "newer.",
        "[@fake/dev] skipped: /usr/local/bin/claude exists, but Mirrorfleet did not create it. "
        "Remove it, then run again.",
    ]


@pytest.mark.usefixtures("offline_cache")
def test_a_port_of_metrics_that_is_taken(plans: Planned, project: Path) -> None:
    edit(project, "lab", "  workers: 2\n", "  workers: 2\n  metrics: {port: 9100}\n")
    taken: Answers = {("port", "9100"): ("prometheus-node-exporter.service",)}
    [line] = refused(dict(plans("lab").hosts), {"gw-1": taken})
    assert "gw-1: port 9100 is in use by prometheus-node-exporter.service" in line


@pytest.mark.usefixtures("offline_cache")
def test_a_machine_without_any_python_that_we_know_of(plans: Planned) -> None:
    odd: Answers = {
        MACHINE: ("plan9", "4", "x86_64", "2", "4096"),
        ("python", "python3"): ("none",),
    }
    [line] = refused(dict(plans("lab").hosts), {"gw-1": odd})
    assert line == (
        "gw-1: python3 is missing, and no known package of plan9 4 has it. Use Debian 12, "
        "Ubuntu 24.04 or newer."
    )


@pytest.mark.usefixtures("offline_cache")
def test_a_secret_that_is_missing(plans: Planned, project: Path) -> None:
    (project / ".lab/secrets/master").unlink()
    [line] = refused(dict(plans("lab").hosts), {})
    where = "gw-1, gw-2: the secret {file: ../.lab/secrets/master} is missing: No such file"
    assert line.startswith(where), "one cause is reported once, with its hosts"


@pytest.mark.usefixtures("offline_cache")
def test_weights_that_are_missing_here(plans: Planned, project: Path) -> None:
    (project / ".lab/weights/tiny/config.json").unlink()
    [line] = refused(dict(plans("lab").hosts), {})
    assert line.startswith("gpu: the weights to push are not complete: there is no config.json in ")


@pytest.mark.usefixtures("offline_cache")
def test_two_groups_with_one_key(plans: Planned, project: Path) -> None:
    other = "developers:\n  more: {hosts: [dev], users: [grace], model: sonnet, version: 2.1.330, "
    edit(
        project, "lab", "developers:\n", other + "key: {command: cat ../.lab/secrets/developers}}\n"
    )
    assert refused(dict(plans("lab").hosts), {}) == [
        "gw-1, gw-2: 'lab' and 'more' have the same key. Generate another key for one of them."
    ]


@pytest.mark.usefixtures("offline_cache")
def test_a_group_with_the_master_key(plans: Planned, project: Path) -> None:
    (project / ".lab/secrets/developers").write_text("sk-master-key-of-the-tests")
    assert refused(dict(plans("lab").hosts), {})[0] == (
        "gw-1, gw-2: 'lab' and 'master_key' have the same key. "
        "Generate another key for one of them."
    )
