"""`mirrorfleet usage` on the @fake connector: gateways answer with real ledgers."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from pyinfra.api import Inventory

from mirrorfleet import fleet
from mirrorfleet.cli.live import inventory as live_inventory
from mirrorfleet.cli.main import main
from mirrorfleet.jobs.usage import read_ledger, sums
from mirrorfleet.jobs.usage.page import html
from mirrorfleet.jobs.usage.period import period
from mirrorfleet.roles.litellm.files.mirrorfleet_ledger import Ledger
from tests.roles.fake import Traffic, recorded
from tests.roles.fleets import ROOT
from tests.roles.test_ledger import TURN

FLEET = str(ROOT / "tests/fleet/good/usage.yml")
NOW = datetime.now(UTC).replace(hour=0, minute=30)

ROWS = """\
group model turns failed prompt cached answer cost
- cloud 1 9.00k 89% 50
team coder 8 1 72.0k 89% 400 $0.35
total 9 1 81.0k 89% 450 $0.35+
"""


def ledger(directory: Path, name: str) -> Path:
    """Write the ledger of a gateway."""
    path = directory / f"{name}.sqlite"
    day = [int((NOW - timedelta(days=days)).timestamp() * 1000) for days in range(3)]
    writer = Ledger(path)
    if name == "gw-1":
        writer.add([TURN._replace(ended=day[at % 3], cost=50_000_000) for at in range(6)])
        writer.add([TURN._replace(ended=day[0], person="<b>bob</b>\x1b[2J", outcome="failed")])
    else:
        writer.add([TURN._replace(ended=day[1], cost=50_000_000, latency=8000)])
        writer.add([TURN._replace(ended=day[1], person="", group="", model="cloud")])
    writer.close()
    return path


def printed(path: Path, columns: str = "day,person,group,model", starts: str = "") -> list[str]:
    """Return what the program prints on a gateway."""
    since, until = ((NOW - timedelta(days=days)).date().isoformat() for days in (29, 0))
    program = (Path(read_ledger.__file__)).read_text()
    command = [sys.executable, "-I", "-", str(path), since, until, columns, starts]
    done = subprocess.run(
        command, input=program, stdout=subprocess.PIPE, text=True, check=True, timeout=120
    )
    return done.stdout.splitlines()


@contextmanager
def gateways(answers: Mapping[str, list[str]]) -> Iterator[Mapping[str, Traffic]]:
    """During the block, live commands find hosts that print these lines."""

    def inventory(file: Path, data: Mapping[str, Any]) -> Inventory:
        planned = fleet.plan(fleet.load(file))
        found = [
            (
                f"@fake/{name}",
                {"plan": plan, "fake_responses": {"sh -s": answers.get(name, [])}},
            )
            for name, plan in planned.hosts.items()
        ]
        made = Inventory((found, {}), override_data=data)  # type: ignore[no-untyped-call]
        for host in made:
            host.name = host.name.removeprefix("@fake/")
        return made

    with recorded() as traffic, patch.object(live_inventory, "inventory", inventory):
        yield traffic


@pytest.fixture(name="answers")
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    monkeypatch.setenv("COLUMNS", "80")
    return {name: printed(ledger(tmp_path, name)) for name in ("gw-1", "gw-2")}


def usage(*options: str, file: str = FLEET) -> int:
    try:
        return int(main(["usage", file, *options]))
    except SystemExit as end:
        return int(end.code or 0)


def test_a_table_of_groups_and_models(
    answers: dict[str, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = {name: printed(tmp_path / f"{name}.sqlite", "group,model") for name in ("gw-1", "gw-2")}
    with gateways(short) as traffic:
        assert usage() == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    _, *rows = (" ".join(line.split()) for line in out.splitlines() if line.strip(" ─"))
    assert rows == ROWS.splitlines()
    assert {name: len(each.execs) + each.observations for name, each in traffic.items()} == {
        **{"gw-1": 1, "gw-2": 1},
    }


def test_json_and_csv_have_every_row(
    answers: dict[str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    with gateways(answers):
        assert usage("--json", "--by", "day,person,group,model") == 0
    report = json.loads(capsys.readouterr().out)
    assert sum(row["turns"] for row in report["rows"]) == report["total"]["turns"] == 9
    assert report["total"]["dollars"] == pytest.approx(0.35)
    assert report["times"]["coder"]["latency"]["p50"] == pytest.approx(4000, rel=0.05)
    assert report["unread"] == {}
    with gateways(answers):
        assert usage("--csv", "--by", "day,person,group,model") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert sum(int(row["turns"]) for row in rows) == 9
    assert len(rows) == len(report["rows"])


def test_a_gateway_that_is_not_read_is_named(
    answers: dict[str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    with gateways({**answers, "gw-2": ["failed\tpython3 is missing"]}):
        assert usage("--by", "day,person,group,model") == 1
    assert "gw-2: the host's answer is invalid: the ledger cannot be read: python3 is missing" in (
        " ".join(capsys.readouterr().out.split())
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--since", "yesterday"], "'yesterday' is no day, such as"),
        (["--since", "2026-11-02", "--until", "2026-11-01"], "2026-11-02 is after 2026-11-01."),
        (["--by", "country"], "'country' is no column of a report: choose of day, person, group,"),
        (["--json", "--csv"], "--json and --csv exclude each other: remove `--csv`."),
    ],
)
def test_misuse_ends_with_2(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert usage(*options) == 2
    assert message in capsys.readouterr().err


def test_a_fleet_that_records_nothing_gets_the_fix(capsys: pytest.CaptureFixture[str]) -> None:
    with gateways({}):
        assert main(["usage", str(ROOT / "tests/fleet/good/fallbacks.yml")]) == 2
    assert "write `usage: {}` below gateway" in capsys.readouterr().err


def test_the_page_needs_nothing_else_and_shows_no_markup_of_names(
    answers: dict[str, list[str]], tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    with gateways(answers):
        assert usage("--html", str(page)) == 0
    text = page.read_text("utf-8")
    assert "&lt;b&gt;bob&lt;/b&gt;" in text
    assert "<b>bob" not in text
    assert "\x1b" not in text
    assert "<script" not in text
    assert "http://" not in text.replace("http-equiv", "")
    assert "https://" not in text
    assert text.count("<svg") == 6


def test_the_page_counts_the_people_that_it_leaves_out() -> None:
    def entry(person: str, tokens: int) -> sums.Entry:
        keys = {"day": "2026-11-30", "person": person, "group": "team", "model": "coder"}
        return sums.Entry(keys, sums.Sums(turns=1, input=tokens))

    turns = [entry("", 1_000_000), *(entry(f"person-{at}", 1 + at) for at in range(30))]
    page = html(sums.Ledger(tuple(turns)), period("2026-11-30", "2026-11-30"), {}, [])
    shown = {f"person-{at}" for at in range(30) if f"<td>person-{at} " in page}
    assert shown == {f"person-{at}" for at in range(5, 30)}
    assert "And 5 more." in page
