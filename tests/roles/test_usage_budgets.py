"""Budgets in the report of `mirrorfleet usage`: who is near one, as the gateways count."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet import fleet
from mirrorfleet.jobs.usage import budgets
from mirrorfleet.planning import LitellmPlan
from mirrorfleet.roles.litellm.files.mirrorfleet_ledger import Ledger, Turn
from tests.roles.fleets import ROOT
from tests.roles.test_ledger import TURN
from tests.roles.test_usage_report import gateways, printed, usage

FLEET = str(ROOT / "tests/fleet/good/limits.yml")
BY = "day,person,group,model"
NOW = 1_796_040_000.0  # Mon 2026-11-30 12:00 UTC

NEAR = """\
budget of used amount percent starts again
engines model coder 2.50G 2.50G 100% Mon 2026-12-07 00:00 UTC
cloud group team $190.00 $200.00 95% Tue 2026-12-01 00:00 UTC
daily bob 4.02M 5.00M 80% Tue 2026-12-01 00:00
Europe/Berlin
"""


def turn(ended: float, person: str, group: str = "team", **changes: Any) -> Turn:
    nothing = {"input": 0, "cache_read": 0, "cache_write": 0, "output": 0}
    row = TURN._replace(ended=int(ended * 1000), person=person, group=group)
    return row._replace(**{**nothing, **changes})


TURNS = {
    "gw-1": [
        turn(NOW - 60, "ada", input=3_000_000),  # of 8M
        turn(NOW - 60, "bob", input=3_000_000),
        turn(NOW - 60, "lin", "interns", output=90_000_000),  # unlimited
        turn(NOW - 60, "", "", input=2_404_000_000),  # of the master key
        turn(NOW - 60, "ada", model="cloud", cost=100_000_000_000),
    ],
    "gw-2": [
        turn(NOW - 60, "bob", cache_read=200_000),  # a tenth counts
        turn(NOW - 12.5 * 3600, "bob", input=1_000_000),  # today in Berlin, last week in UTC
        turn(NOW - 14 * 3600, "bob", input=9_000_000),  # yesterday in both
        turn(NOW - 9 * 86_400, "ada", model="cloud", cost=90_000_000_000),
        turn(NOW - 40 * 86_400, "ada", model="cloud", cost=90_000_000_000),  # last month
    ],
}


@pytest.fixture(name="gateway")
def planned() -> LitellmPlan:
    hosts = fleet.plan(fleet.load(Path(FLEET))).hosts.values()
    return next(host.gateway for host in hosts if host.gateway)


@pytest.fixture(name="answers")
def ledgers(
    tmp_path: Path, gateway: LitellmPlan, monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, list[str]]:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("time.time", lambda: NOW)
    starts = ",".join(map(str, budgets.starts(gateway.budgets, NOW)))
    found = {}
    for name, turns in TURNS.items():
        ledger = Ledger(tmp_path / name)
        ledger.add(turns)
        ledger.close()
        found[name] = printed(tmp_path / name, BY, starts)
    return found


def test_the_table_names_who_is_near_a_budget(
    answers: Mapping[str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    with gateways(answers):
        assert usage("--by", BY, file=FLEET) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    _, _, shown = out.partition("Budgets that are nearly spent, now")
    rows = [" ".join(line.split()) for line in shown.splitlines() if line.strip(" ─")]
    assert rows == NEAR.splitlines()


def test_json_has_every_part_of_every_budget(
    answers: Mapping[str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    with gateways(answers):
        assert usage("--json", "--by", BY, file=FLEET) == 0
    found = json.loads(capsys.readouterr().out)["budgets"]
    assert [(each["budget"], each["name"], each["percent"]) for each in found] == [
        *(("engines", "coder", 100), ("cloud", "team", 95), ("daily", "bob", 80)),
        ("daily", "ada", 37),
    ]
    assert found[2] == {
        **{"budget": "daily", "of": "person", "name": "bob", "unit": "tokens"},
        **{"amount": 5_000_000, "used": 4_020_000, "percent": 80},
        **{"warning": True, "spent": False, "resets": "2026-11-30T23:00:00+00:00"},
    }


def test_the_page_shows_who_is_near_a_budget(
    answers: Mapping[str, list[str]], tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    with gateways(answers):
        assert usage("--html", str(page), file=FLEET) == 0
    text = page.read_text("utf-8")
    assert "2 nearly spent, 1 spent." in text
    rows = [line for line in text.splitlines() if 'class="bar"' in line]
    assert [row.partition("</td>")[0] for row in rows] == [
        '<tr class="spent"><td>model coder',
        '<tr class="near"><td>group team',
        '<tr class="near"><td>bob',
        '<tr class=""><td>ada',
    ]
    assert "width:80%" in rows[2]
    assert "5.00M" in rows[2]


def test_a_fleet_without_budgets_has_no_such_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "report.html"
    with gateways({}):
        assert usage("--html", str(page)) == 0
    assert "Budgets" not in page.read_text("utf-8")
