"""Former names of keys and values are accepted, with a warning."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirrorfleet import fleet
from mirrorfleet.config import Fleet
from mirrorfleet.planning.explain import values

GOOD = Path(__file__).parent / "good"
KEY = "load_balancer: {hosts"
WARNING = (
    "front: is the former name of 'load_balancer', and release 0.3 no longer accepts it. "
    "Rename the key to 'load_balancer'."
)


def written(directory: Path, *pairs: tuple[str, str], name: str = "load-balancer") -> Path:
    text = (GOOD / f"{name}.yml").read_text("utf-8")
    for before, after in pairs:
        assert before in text
        text = text.replace(before, after)
    path = directory / "fleet.yml"
    path.write_text(text, "utf-8")
    return path


def plans(found: Fleet) -> dict[str, str]:
    """Return the plan of each host as text, without the directories of secrets."""
    return {
        name: "\n".join(f"{value.path}: {value.value}" for value in values(planned, host))
        for planned in [fleet.plan(found)]
        for name, host in planned.hosts.items()
    }


def test_front_is_accepted_with_a_warning_and_gives_the_same_plan(tmp_path: Path) -> None:
    path = written(tmp_path, (KEY, "front: {hosts"))
    found = fleet.load(path)
    line = (
        path.read_text("utf-8")
        .splitlines()
        .index("front: {hosts: {labels: [gateway]}, plain: true}")
    )
    assert f"{path}:{line + 1}: warning: {WARNING}" in map(str, found.warnings)
    assert plans(found) == plans(fleet.load(GOOD / "load-balancer.yml"))


def test_both_names_in_one_file_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, (KEY, "front: {hosts: [gw-a], plain: true}\nload_balancer: {hosts"))
    with pytest.raises(fleet.FleetError) as caught:
        fleet.load(path)
    [problem] = [error for error in caught.value.problems if error.severity == "error"]
    assert problem.text == (
        "front: is the former name of 'load_balancer', and the file has both. "
        "Keep 'load_balancer' and remove 'front'."
    )
    assert path.read_text("utf-8").splitlines()[problem.place.line - 1].startswith("front:")


def test_files_of_one_fleet_can_use_different_names(tmp_path: Path) -> None:
    base = written(tmp_path, (KEY, "front: {hosts")).rename(tmp_path / "base.yml")
    path = tmp_path / "fleet.yml"
    path.write_text("include: base.yml\nload_balancer: {port: 8080}\n")
    found = fleet.load(path)
    assert found.load_balancer is not None
    assert found.load_balancer.port == 8080
    assert [w.place.file for w in found.warnings if w.key == ("front",)] == [str(base)]


def test_a_mistake_below_front_has_the_current_key(tmp_path: Path) -> None:
    path = written(tmp_path, (KEY, "front: {port: x, hosts"))
    with pytest.raises(fleet.FleetError) as caught:
        fleet.load(path)
    keys = [error.key for error in caught.value.problems if error.severity == "error"]
    assert keys == [("load_balancer", "port")]


def test_the_scope_mirror_is_isolated(tmp_path: Path) -> None:
    found = fleet.load(written(tmp_path, ("scope: isolated", "scope: mirror"), name="scopes"))
    assert not any("mirror" in warning.text for warning in found.warnings)
    assert plans(found) == plans(fleet.load(GOOD / "scopes.yml"))
