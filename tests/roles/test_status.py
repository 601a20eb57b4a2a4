"""deploys/status.py: the comparison of a host's answers with the plan, and its tables."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace

import pytest
from rich.text import Text

from mirrorfleet.config.problems import Problem
from mirrorfleet.jobs.rings import record
from mirrorfleet.jobs.status import table
from mirrorfleet.jobs.status.state import HostState, compare, host_script, parse_report
from mirrorfleet.roles import registry
from mirrorfleet.roles.load_balancer.certificate import Validity
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
    plans: Planned, output: list[str], problems: Sequence[Problem] = (), changes: Sequence[str] = ()
) -> HostState:
    plan = plans("lab").hosts["gpu"]
    facts = [fact for role in registry.roles() for fact in role.facts(plan)]
    observed, running = parse_report(facts, [*lines(converged(plan)), *DISKS, *output])
    desired = {service.name: service.generation for service in registry.rendered(plan, observed)}
    return compare(running, observed, registry.services(plan, observed), desired, problems, changes)


def shown(capsys: pytest.CaptureFixture[str], found: HostState) -> list[list[str]]:
    """Return the cells of the rows of all tables; lines below the tables are rows of one cell."""
    table.show({"gpu": found}, {"dev": "could not be reached"}, {"laptop": "no reply"})
    rows = [line.strip("│┃").split("│") for line in capsys.readouterr().out.splitlines()]
    return [[cell.strip() for cell in row] for row in rows]


@pytest.mark.usefixtures("offline_cache")
def test_notes_are_shown_and_are_no_difference(
    plans: Planned, capsys: pytest.CaptureFixture[str]
) -> None:
    note = "~ada/.local/bin/claude is ada's own client, release 2.1.332, newer"
    found = replace(state(plans, WELL), notes=(note,))
    assert [f"gpu: note: {note}"] in shown(capsys, found)
    assert not found.faults
    assert table.report({"gpu": found}, {}, {})["hosts"]["gpu"]["notes"] == (note,)


@pytest.mark.usefixtures("offline_cache")
def test_a_converged_host_is_shown_without_faults(
    plans: Planned, capsys: pytest.CaptureFixture[str]
) -> None:
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
def test_faults_and_warnings_of_a_host_are_shown(
    plans: Planned, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = WELL[2].replace("active\t", "failed\t").replace("\t0\t", "\t7\t")
    found = state(
        plans, [WELL[0], failed], [warning("it may be too slow.")], ["litellm: x is missing"]
    )
    failure = f"{UNIT} has failed: see journalctl -u {UNIT}"
    assert found.faults == ("litellm: x is missing", failure)
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
    assert table.report({}, {"dev": "why"}, {"laptop": "no reply"}) == {
        "hosts": {},
        "unreachable": {"dev": "why"},
        "offline": {"laptop": "no reply"},
    }


def test_an_unknown_line_of_a_host_is_an_error() -> None:
    with pytest.raises(ValueError, match="surprise"):
        parse_report([], ["machine\tdebian\t12\tx86_64\t4\t8", "status\t\t\t", "surprise"])


def test_the_script_runs_on_this_machine() -> None:
    done = subprocess.run(
        ["sh"], input=host_script([]), capture_output=True, text=True, timeout=120
    )
    assert done.stderr == ""
    observed, running = parse_report([], done.stdout.splitlines())
    assert running.available > 0 and all(observed.values.values())
    if shutil.which("systemctl") is None:
        assert running.units == {}


RUN = record.Run("2026-11-30T01:15:09Z", "ada@laptop", "3f1c5f0d6b3a", "0.2.0")
PROOF = record.Proof(
    run=RUN,
    asked="ada on dev-1",
    through=("gw-a",),
    seconds={"coder": 2.5},
    clients=("2.1.331",),
    gateway="1.106.12",
    generations={"litellm on gw-a": "6437a26fded5"},
)


@pytest.mark.usefixtures("offline_cache")
def test_who_changed_a_host_and_what_its_ring_proved(
    plans: Planned, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    applied = "applied\t2026-11-30T01:15:09Z\tada@laptop\t3f1c5f0d6b3a-dirty\t0.2.0"
    found = state(plans, [*WELL, applied])
    cause = "ring 'canary' failed on dev-1: client: it crashes"
    failure = record.Failure(replace(RUN, at="2026-11-30T02:00:00Z"), "ada on dev-1", cause)
    both = replace(found, ring=record.Record("canary", "state", PROOF, failure))
    table.show({"gpu": both}, {}, {})
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    text = " ".join(re.sub(r"[│┃]", " ", out).split())
    for part in ("Last change", "2026-11-30 01:15 ", "ada@laptop", "3f1c5f0d6b3a-dirty", "canary"):
        assert part in text
    assert "gpu: ring 'canary' failed on dev-1: client: it crashes; 2026-11-30 02:00 by" in text
    [host] = table.report({"gpu": both}, {}, {})["hosts"].values()
    assert host["running"]["applied"]["by"] == "ada@laptop"
    assert host["ring"]["proved"]["generations"] == {"litellm on gw-a": "6437a26fded5"}
    assert host["ring"]["failed"]["cause"] == cause


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize(
    ("days", "left", "is_red"), [(14, "14", False), (13, "13", True), (-1, "expired", True)]
)
def test_the_days_that_a_certificate_is_valid(
    days: int,
    left: str,
    is_red: bool,
    plans: Planned,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = "/opt/mirrorfleet/front/current/certificate.pem"
    validity = Validity(file, "2026-12-14T01:15:00+00:00", days)
    found = replace(state(plans, WELL), certificate=validity)
    assert ["gpu", "2026-12-14 01:15", left, file] in shown(capsys, found)
    [column] = [
        each for each in table._certificates({"gpu": found}).columns if each.header == "days left"
    ]
    assert [str(cell.style) for cell in column.cells if isinstance(cell, Text)] == [
        "red" if is_red else ""
    ]
    assert table.report({"gpu": found}, {}, {})["hosts"]["gpu"]["certificate"]["days"] == days
