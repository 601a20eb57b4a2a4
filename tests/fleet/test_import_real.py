"""Configurations of public repositories, rewritten: each is read, and becomes a fleet.

docs/reference/imported-configurations.md names the repositories and commits of the originals.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from mirrorfleet import importing
from mirrorfleet.importing.proof import mistakes
from tests.fleet.importing import leaves

HERE = Path(__file__).parent
FILES = sorted((HERE / "imported").glob("*/*.*"))
PAGE = HERE.parents[1] / "docs" / "reference" / "imported-configurations.md"


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_real_configuration_becomes_a_fleet(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "fleet.yml"
    result = importing.run([str(path)], name="real", target=target)
    assert len(result.entries) == leaves(path)
    assert not mistakes(result.data, target)
    assert yaml.safe_load(result.text) == result.data
    assert all(entry.reason or entry.target for entry in result.entries)


def test_page_names_the_origin_of_each_file() -> None:
    rows = re.findall(
        r"^\| (litellm|engines|claude) (\d\d) \|.*`[0-9a-f]{40}`", PAGE.read_text(), re.M
    )
    assert sorted(rows) == sorted((path.parent.name, path.stem) for path in FILES)
    kinds = [kind for kind, _ in rows]
    assert all(kinds.count(kind) >= 20 for kind in ("litellm", "engines", "claude"))
