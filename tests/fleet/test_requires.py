"""`requires`: the releases of Mirrorfleet that a fleet file needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirrorfleet import __version__, fleet

GOOD = (Path(__file__).parent / "good" / "smallest.yml").read_text("utf-8")


def written(directory: Path, requires: str, rest: str = GOOD) -> Path:
    path = directory / "fleet.yml"
    path.write_text(f"requires: {requires}\n{rest}")
    return path


def test_a_release_in_the_range_accepts_the_file(tmp_path: Path) -> None:
    assert fleet.load(written(tmp_path, f"'=={__version__}'")).name


def test_another_release_reports_only_that(tmp_path: Path) -> None:
    path = written(tmp_path, "'>=99.1,<100'", "a_key_of_that_release: 1\nhosts: nonsense\n")
    with pytest.raises(fleet.FleetError) as error:
        fleet.load(path)
    assert str(error.value) == (
        f"{path}:1: requires: is '>=99.1,<100', but this is Mirrorfleet {__version__}. "
        "Install a release in that range, such as the one in requirements.txt: pip install -r "
        "requirements.txt."
    )


@pytest.mark.parametrize("text", ["newest", "2", "[0.2]", "'>=x'"])
def test_an_invalid_range_is_refused_with_an_example(tmp_path: Path, text: str) -> None:
    with pytest.raises(fleet.FleetError, match=r"requires: is .*, not a range of releases\. For "):
        fleet.load(written(tmp_path, text))
