"""The plans of good fleets, without empty values, are equal to the files in plans/."""

from __future__ import annotations

import json
import os
from difflib import unified_diff
from pathlib import Path

import pytest
import yaml

from mirrorfleet import fleet

HERE = Path(__file__).parent
PACKAGE = Path(fleet.__file__).parent
GOOD = sorted((HERE / "good").glob("*.yml"))
UPDATE = "MIRRORFLEET_UPDATE_GOLDEN"


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_the_plan_is_equal_to_the_golden_file(path: Path) -> None:
    planned = fleet.plan(fleet.load(path))
    plans = {name: plan.to_json() for name, plan in planned.hosts.items()}
    plain = json.loads(json.dumps(plans, default=str))
    text = yaml.safe_dump(plain, sort_keys=False, width=100)
    text = text.replace(str(HERE), "tests/fleet").replace(str(PACKAGE), "mirrorfleet")
    text = text.replace(str(Path.home()), "~")
    golden = HERE / "plans" / f"{path.stem}.yml"
    if os.environ.get(UPDATE):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, "utf-8")
    before = golden.read_text("utf-8") if golden.exists() else ""
    difference = "".join(
        unified_diff(before.splitlines(True), text.splitlines(True), str(golden), "planned")
    )
    assert not difference, (
        f"{difference}\nIf this is correct, update the files and read `git diff`:\n"
        f"    {UPDATE}=1 .venv/bin/python -m pytest tests/fleet/test_golden_plans.py"
    )


def test_every_golden_file_has_a_fleet() -> None:
    assert {path.stem for path in (HERE / "plans").glob("*.yml")} == {path.stem for path in GOOD}
