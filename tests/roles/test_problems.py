"""Problems that only live hosts show: all are reported together, before any change."""

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


def problems_of_run(hosts: dict[str, HostPlan], found: dict[str, Answers]) -> list[str]:
    """Run mirror.py on bare hosts with these other answers; return the problems, one per line."""
    answers = {name: bare(plan) | found.get(name, {}) for name, plan in hosts.items()}
    with recorded() as traffic, pytest.raises(DeployError) as caught:
        mirror(hosts, answers)
    assert {host.observations for host in traffic.values()} == {1}
    assert not any(host.execs or host.uploads for host in traffic.values())
    report = str(caught.value).replace("@fake/", "").splitlines()
    assert report[0] == "nothing was changed:"
    return [line.strip() for line in report[1:]]


@pytest.mark.usefixtures("offline_cache")
def test_problems_of_all_hosts_are_reported_together(
    plans: Planned, caplog: pytest.LogCaptureFixture
) -> None:
    taken: Answers = {("port", "4000"): ("nginx.service",)}
    assert problems_of_run(
        dict(plans("lab").hosts),
        {
            "gpu": {("python", "python3"): ("3.8.10",)},
            "gw-1": {("python", "python3"): ("3.8.10",)},
            "gw-2": taken,
            "dev": {("path", "/usr/local/bin/claude"): ()},
        },
    ) == [
        "gw-1: Python is 3.8.10; the minimum is 3.9. Use Debian 12, Ubuntu 22.04 or newer.",
        "gw-2: port 4000 is in use by nginx.service, but mirrorfleet-litellm.service needs it. "
        "Stop nginx.service, or choose another port.",
    ]
    # Problems that skip only their host are reported together with them.
    assert [" ".join(click.unstyle(line).split()) for line in caplog.messages] == [
        "[@fake/gpu] skipped: Python is 3.8.10; the minimum is 3.9. Use Debian 12, Ubuntu 22.04 or "
        "newer.",
        "[@fake/dev] skipped: /usr/local/bin/claude exists, but Mirrorfleet did not create it. "
        "Remove it, then run again.",
    ]


@pytest.mark.usefixtures("offline_cache")
def test_a_port_of_metrics_in_use_ends_the_run(plans: Planned, project: Path) -> None:
    edit(project, "lab", "  workers: 2\n", "  workers: 2\n  metrics: {port: 9100}\n")
    taken: Answers = {("port", "9100"): ("prometheus-node-exporter.service",)}
    [line] = problems_of_run(dict(plans("lab").hosts), {"gw-1": taken})
    assert "gw-1: port 9100 is in use by prometheus-node-exporter.service" in line


@pytest.mark.usefixtures("offline_cache")
def test_a_gateway_host_without_a_known_python_ends_the_run(plans: Planned) -> None:
    odd: Answers = {
        MACHINE: ("plan9", "4", "x86_64", "2", "4096"),
        ("python", "python3"): ("none",),
    }
    [line] = problems_of_run(dict(plans("lab").hosts), {"gw-1": odd})
    assert line == (
        "gw-1: python3 is missing, and no known package of plan9 4 has it. Use Debian 12, "
        "Ubuntu 22.04 or newer."
    )


@pytest.mark.usefixtures("offline_cache")
def test_a_redis_that_is_too_old_ends_the_run(plans: Planned) -> None:
    jammy: Answers = {MACHINE: ("ubuntu", "22.04", "x86_64", "4", "8388608")}
    assert problems_of_run(dict(plans("redis").hosts), {"state": jammy}) == [
        "state: Redis of ubuntu 22.04 is 6.0; the minimum is 6.2. Set another host in "
        "gateway.redis.install, or use an existing Redis."
    ]


@pytest.mark.usefixtures("offline_cache")
def test_a_missing_secret_ends_the_run(plans: Planned, project: Path) -> None:
    (project / ".lab/secrets/master").unlink()
    [line] = problems_of_run(dict(plans("lab").hosts), {})
    where = "gw-1, gw-2: the secret {file: ../.lab/secrets/master} is missing: No such file"
    assert line.startswith(where), "one cause is reported once, with its hosts"


@pytest.mark.usefixtures("offline_cache")
def test_incomplete_weights_to_push_are_reported(plans: Planned, project: Path) -> None:
    (project / ".lab/weights/tiny/config.json").unlink()
    [line] = problems_of_run(dict(plans("lab").hosts), {})
    assert line.startswith("gpu: the weights to push are not complete: there is no config.json in ")


@pytest.mark.usefixtures("offline_cache")
def test_two_groups_with_the_same_key_end_the_run(plans: Planned, project: Path) -> None:
    other = "developers:\n  more: {hosts: [dev], users: [grace], model: sonnet, version: 2.1.331, "
    edit(
        project, "lab", "developers:\n", other + "key: {command: cat ../.lab/secrets/developers}}\n"
    )
    assert problems_of_run(dict(plans("lab").hosts), {}) == [
        "gw-1, gw-2: 'lab' and 'more' have the same key. Generate another key for one of them."
    ]


@pytest.mark.usefixtures("offline_cache")
def test_a_group_with_the_master_key_ends_the_run(plans: Planned, project: Path) -> None:
    (project / ".lab/secrets/developers").write_text("sk-master-key-of-the-tests")
    assert problems_of_run(dict(plans("lab").hosts), {})[0] == (
        "gw-1, gw-2: 'lab' and 'master_key' have the same key. "
        "Generate another key for one of them."
    )
