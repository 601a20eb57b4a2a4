"""Every mistake of a bad fleet is reported, at its line, with the remedy, and nothing else is.

The files of bad/ carry the messages that they must give in their first comment lines.
"""

from pathlib import Path

import pytest

import fleet

BAD = sorted((Path(__file__).parent / "bad").glob("*.yml"))


def expected(path: Path) -> set[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return {f"{path}:{line[2:]}" for line in lines if line.startswith("# ")}


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_every_mistake_is_reported_at_once(path: Path) -> None:
    with pytest.raises(fleet.FleetError) as caught:
        fleet.plan(fleet.load(path))
    assert set(str(caught.value).splitlines()) == expected(path)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(fleet.FleetError, match=r"nowhere.yml:1: No such file"):
        fleet.load("nowhere.yml")


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(fleet.FleetError, match=r"fleet.yml:1: is not UTF-8 text"):
        fleet.load(path)
