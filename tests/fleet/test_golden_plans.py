"""The whole plan of every good fleet, against the ones in plans/."""

from __future__ import annotations

import json
import os
from difflib import unified_diff
from pathlib import Path

import pytest

from mirrorfleet import fleet

HERE = Path(__file__).parent
PACKAGE = Path(fleet.__file__).parent
GOOD = sorted((HERE / "good").glob("*.yml"))
UPDATE = "MIRRORFLEET_UPDATE_GOLDEN"


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_the_plan_is_the_golden_one(path: Path) -> None:
    planned = fleet.plan(fleet.load(path))
    plans = {name: plan.to_json() for name, plan in planned.hosts.items()}
    text = json.dumps(plans, indent=1, default=str) + "\n"
    text = text.replace(str(HERE), "tests/fleet").replace(str(PACKAGE), "mirrorfleet")
    text = text.replace(str(Path.home()), "~")
    golden = HERE / "plans" / f"{path.stem}.json"
    if os.environ.get(UPDATE):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, "utf-8")
    before = golden.read_text("utf-8") if golden.exists() else ""
    difference = "".join(
        unified_diff(before.splitlines(True), text.splitlines(True), str(golden), "planned")
    )
    assert not difference, (
        f"{difference}\nIf that is what you want, write it anew and read `git diff` afterwards:\n"
        f"    {UPDATE}=1 .venv/bin/python -m pytest tests/fleet/test_golden_plans.py"
    )


def test_there_are_no_plans_of_fleets_that_are_gone() -> None:
    assert {path.stem for path in (HERE / "plans").glob("*.json")} == {path.stem for path in GOOD}
