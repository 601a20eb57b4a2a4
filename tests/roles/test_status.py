"""What deploys/status.py makes of a host's answers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

import pytest

from mirrorfleet.config.problems import Problem
from mirrorfleet.jobs.status import table
from mirrorfleet.jobs.status.state import HostState, compare, host_script, parse_report
from mirrorfleet.roles import registry
from mirrorfleet.runtime.problems import warning
from tests.roles.answers import converged, lines
from tests.roles.conftest import Planned

UNIT = "mirrorfleet-vllm-tiny.service"
WELL = [
    "status\t3 days, 4 hours\t0.52\t8388608",
    "gpu\t0\t61440\t81559\t97",
    f"service\t{UNIT}\tactive\texec\t1000000000\t0\t3221225472\t1000273660",
    "service\tmirrorfleet-firewall.service\tactive\toneshot\t1000000000\t0\t[not set]\t1000000042",
    "service\tmirrorfleet-postgres-backup.service\tinactive\toneshot\t\t0\t\t1000000042",
]
DISKS = ["disk\t/opt/mirrorfleet\t104857600", "disk\t/var/lib/mirrorfleet\t209715200"]


def state(
    plans: Planned, said: list[str], problems: Sequence[Problem] = (), changes: Sequence[str] = ()
) -> HostState:
    plan = plans("lab").hosts["gpu"]
    facts = [fact for role in registry.roles() for fact in role.facts(plan)]
    observed, running = parse_report(facts, [*lines(converged(plan)), *DISKS, *said])
    wanted = {each.name: each.generation for each in registry.rendered(plan, observed)}
    return compare(running, observed, registry.services(plan, observed), wanted, problems, changes)


def shown(capsys: pytest.CaptureFixture[str], found: HostState) -> list[list[str]]:
    """The cells of the tables' rows, and what stands below as rows of one."""
    table.show({"gpu": found}, {"dev": "could not be reached"})
    rows = [line.strip("│┃").split("│") for line in capsys.readouterr().out.splitlines()]
    return [[cell.strip() for cell in row] for row in rows]


@pytest.mark.usefixtures("offline_cache")
def test_a_host_that_is_as_it_should_be(plans: Planned, capsys: pytest.CaptureFixture[str]) -> None:
    found = state(plans, WELL)
    [generation] = {service.generation for service in found.services if service.desired}
    rows = shown(capsys, found)
    assert ["gpu", "vllm-tiny", "active", "3 d 4 h", "0", "3.0 GiB", generation] in rows
    assert ["gpu", "firewall", "active", "42 s", "0", "", ""] in rows
    busy = "60/80 GiB 97%"
    assert ["gpu", "3 days, 4 hours", "0.52", "8.0 GiB", "100 GiB", busy, "yes"] in rows
    assert ["gpu", "postgres-backup", "inactive", "", "0", "", ""] in rows
    assert ["dev: could not be reached"] in rows
    assert not any("mirror.py" in row[0] for row in rows)


@pytest.mark.usefixtures("offline_cache")
def test_one_that_is_not(plans: Planned, capsys: pytest.CaptureFixture[str]) -> None:
    failed = WELL[2].replace("active\t", "failed\t").replace("\t0\t", "\t7\t")
    found = state(
        plans, [WELL[0], failed], [warning("it may be too slow.")], ["litellm: x is missing"]
    )
    said = f"{UNIT} has failed: see journalctl -u {UNIT}"
    assert found.faults == ("litellm: x is missing", said)
    rows = shown(capsys, found)
    [service] = [row for row in rows if row[:2] == ["gpu", "vllm-tiny"]]
    assert service[2:5] == ["failed", "3 d 4 h", "7"]
    assert ["gpu: litellm: x is missing"] in rows
    assert ["gpu: warning: it may be too slow."] in rows
    assert any("Run deploys/mirror.py to apply" in row[0] for row in rows)


@pytest.mark.usefixtures("offline_cache")
def test_a_service_without_a_unit_is_missing(plans: Planned) -> None:
    [service] = state(plans, WELL[:1]).services
    assert (service.name, service.process) == ("vllm-tiny", None)
    assert table.report({}, {"dev": "why"}) == {"hosts": {}, "unreachable": {"dev": "why"}}


def test_what_a_host_does_not_say_is_refused() -> None:
    with pytest.raises(ValueError, match="surprise"):
        parse_report([], ["machine\tdebian\t12\tx86_64\t4\t8", "status\t\t\t", "surprise"])


def test_any_machine_of_ours_understands_the_question() -> None:
    done = subprocess.run(["sh"], input=host_script([]), capture_output=True, text=True)
    assert done.stderr == ""
    observed, running = parse_report([], done.stdout.splitlines())
    assert running.available > 0 and all(observed.values.values())
    if shutil.which("systemctl") is None:
        assert running.units == {}
