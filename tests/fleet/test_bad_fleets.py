"""Every mistake of a bad fleet is reported, at its line, with the remedy, and nothing else is.

The files of bad/ carry the messages that they must give in their first comment lines. To write
them anew: MIRRORFLEET_UPDATE_GOLDEN=1 pytest tests/fleet/test_bad_fleets.py, and read the diff.
"""

import os
from pathlib import Path

import pytest

import fleet

BAD = sorted((Path(__file__).parent / "bad").glob("*.yml"))


def told(path: Path) -> set[str]:
    with pytest.raises(fleet.FleetError) as caught:
        fleet.plan(fleet.load(path))
    return set(str(caught.value).splitlines())


def update(path: Path) -> None:
    """Write the messages into the file, above the rest of it, which they push down."""
    said = path.read_text(encoding="utf-8").splitlines()
    content = [line for line in said if not line.startswith("# ")]
    for _ in range(2):
        found = [each.removeprefix(f"{path}:") for each in told(path)]
        header = [f"# {each}" for each in sorted(found, key=_in_file)]
        path.write_text("\n".join([*header, *content]) + "\n", encoding="utf-8")


def _in_file(message: str) -> tuple[int, str]:
    return int(message.split(":")[0]), message


def expected(path: Path) -> set[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return {f"{path}:{line[2:]}" for line in lines if line.startswith("# ")}


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_every_mistake_is_reported_at_once(path: Path) -> None:
    if os.environ.get("MIRRORFLEET_UPDATE_GOLDEN"):
        update(path)
    assert told(path) == expected(path)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(fleet.FleetError, match=r"nowhere.yml:1: No such file"):
        fleet.load("nowhere.yml")


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(fleet.FleetError, match=r"fleet.yml:1: is not UTF-8 text"):
        fleet.load(path)
