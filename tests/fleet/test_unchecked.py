"""Values that the checks guarantee raise exceptions if missing; `python -O` removes asserts."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from mirrorfleet import fleet
from mirrorfleet.config.problems import Unchecked

HERE = Path(__file__).parent
PACKAGE = HERE.parent.parent / "mirrorfleet"


@pytest.mark.parametrize("layer", ["config", "checks", "planning", "engines"])
def test_the_pure_packages_have_no_asserts(layer: str) -> None:
    files = sorted((PACKAGE / layer).glob("**/*.py"))
    assert files
    found = [
        f"{path.name}:{node.lineno}"
        for path in files
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Assert)
    ]
    assert found == []


def test_a_plan_of_an_unchecked_fleet_reports_the_missing_key() -> None:
    loaded = fleet.load(HERE / "good" / "database.yml")
    assert loaded.gateway is not None
    unchecked = replace(loaded, gateway=replace(loaded.gateway, salt_key=None))
    with pytest.raises(Unchecked, match=r"^gateway\.salt_key is missing"):
        fleet.plan(unchecked)


def test_an_unknown_model_is_reported() -> None:
    loaded = fleet.load(HERE / "good" / "smallest.yml")
    with pytest.raises(Unchecked, match=r"^models\.nothing is missing"):
        loaded.resolve("nothing")
