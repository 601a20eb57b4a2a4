"""`python -m tools.propose`: which texts get the release that Mirrorfleet proposes from now on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mirrorfleet import fleet
from mirrorfleet.cli.main import main
from mirrorfleet.data import proposed
from tools import propose

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "text", "after"),
    [
        (
            "docs/how-to/keys.md",
            "  version: 1.2.3   # of LiteLLM",
            "  version: 9.9.9   # of LiteLLM",
        ),
        ("docs/how-to/keys.md", "{version: 1.2.3, hosts: [gw]}", "{version: 9.9.9, hosts: [gw]}"),
        ("docs/how-to/keys.md", "With 1.2.3, it took 2 s.", "With 1.2.3, it took 2 s."),
        ("README.md", 'version: "1.2.3"', 'version: "9.9.9"'),
        ("README.md", "version: 1.2.30", "version: 1.2.30"),
        ("README.md", "version: 1.2.3.4", "version: 1.2.3.4"),
        ("schemas/fleet.schema.json", '"examples": ["1.2.3"]', '"examples": ["9.9.9"]'),
        ("schemas/fleet.schema.json", '{"version": "1.2.3"}', '{"version": "9.9.9"}'),
        ("docs/reference/matrix.md", "version: 1.2.3", "version: 1.2.3"),
        ("benchmarks/results/a.md", "version: 1.2.3", "version: 1.2.3"),
        ("tests/fleet/bad/a.yml", "# 3: not of LiteLLM 1.2.3.", "# 3: not of LiteLLM 9.9.9."),
        ("tests/roles/test_a.py", 'assert at("1.2.3")', 'assert at("9.9.9")'),
        ("tests/roles/test_a.py", "# as 1.2.3 sends it", "# as 1.2.3 sends it"),
        ("tests/roles/test_a.py", '"""As 1.2.3 sends it."""', '"""As 1.2.3 sends it."""'),
        ("tests/roles/known_content/1.2.3.yml", "version: 1.2.3", "version: 1.2.3"),
    ],
)
def test_examples_and_tests_move_and_facts_stay(name: str, text: str, after: str) -> None:
    assert propose.moved(name, text, "1.2.3", "9.9.9") == after


def test_a_release_that_is_not_locked_is_not_proposed(capsys: pytest.CaptureFixture[str]) -> None:
    assert propose.main(["litellm", "99.0.0"]) == 1
    assert "mirrorfleet lock litellm 99.0.0" in capsys.readouterr().err
    assert propose.main(["redis", "8.0"]) == 2
    assert "SERVICE: litellm or claude" in capsys.readouterr().err


def test_a_new_repository_has_the_proposed_releases(tmp_path: Path) -> None:
    assert main(["init", str(tmp_path / "mine")]) == 0
    path = tmp_path / "mine/inventories/prod.yml"
    assert "RELEASE" not in path.read_text("utf-8")
    found = fleet.load(path)
    assert found.gateway
    assert found.gateway.version == proposed("litellm")
    assert {group.version for group in found.developers.values()} == {proposed("claude")}
    [version] = re.findall(r"engine: vllm\n    version: (\S+)", path.read_text("utf-8"))
    assert version == proposed("vllm")
