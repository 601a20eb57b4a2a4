"""A newer Claude Code of a developer's own beside the fleet's: which settings it obeys, by scope.

Skipped unless the cache has a newer release than the pinned one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet.planning import ClaudePlan
from mirrorfleet.roles.claude.json_file import written
from mirrorfleet.runtime.cache import directory
from tests.roles.real_client import RELEASE, SHELL, needed, unpacked
from tests.roles.recorder import Recorder
from tests.roles.test_real_client import POLICY, keys, recorded_request
from tests.roles.test_real_client import gateway as gateway  # a fixture
from tests.roles.test_real_client import plan as plan  # a fixture


def _number(release: str) -> list[int]:
    return [int(part) for part in release.split(".")]


def _newest() -> str:
    """Return the newest release in the cache."""
    names = (
        path.name for path in (directory() / "npm").glob("anthropic-ai-claude-code-linux-x64-*")
    )
    found = [match[1] for name in names if (match := re.search(r"-(\d+\.\d+\.\d+)\.tgz$", name))]
    return max([*found, RELEASE], key=_number)


NEWER = _newest()

pytestmark = [
    needed,
    pytest.mark.client,
    pytest.mark.skipif(NEWER == RELEASE, reason="there is no newer client in the cache"),
]

ELSEWHERE = {"model": "other", "env": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}}
"""What a project may write, to use another gateway and model."""


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with unpacked(tmp_path_factory.mktemp("newer"), NEWER) as found:
        yield found


def start(home: Path, *command: str | Path, **other: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*map(str, command)],
        env=SHELL | {"HOME": str(home), "CLAUDE_CODE_MAX_RETRIES": "0"} | other,
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_it_obeys_the_settings_of_a_user_and_does_not_update_itself(
    newer: Path, gateway: Recorder, plan: ClaudePlan, tmp_path: Path
) -> None:
    home = tmp_path / "linus"
    settings = (home / ".claude/settings.json").read_bytes()
    done = start(home, newer, "-p", "Say something.")
    assert "heard" in done.stdout
    assert recorded_request(gateway) == ("thinker", 16384, keys("guests"))
    assert "Auto-updates: disabled" in start(home, newer, "doctor").stdout
    assert (home / ".claude/settings.json").read_bytes() == settings


def test_it_is_no_client_of_an_isolated_group(
    newer: Path, gateway: Recorder, plan: ClaudePlan, tmp_path: Path
) -> None:
    home = tmp_path / "ada"
    (home / ".claude/settings.json").unlink(missing_ok=True)
    bare = {"ANTHROPIC_API_KEY": "", "ANTHROPIC_AUTH_TOKEN": "", "ANTHROPIC_BASE_URL": gateway.url}
    done = start(home, newer, "-p", "Say something.", **bare)
    assert done.returncode != 0
    assert gateway.asked == []
    [its] = plan.isolated
    done = start(home, newer, "-p", "Say something.", CLAUDE_CONFIG_DIR=str(home / its.directory))
    assert "heard" in done.stdout
    assert recorded_request(gateway) == ("thinker", 16384, keys("lab"))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
def test_it_obeys_the_policy_and_its_maximum(
    newer: Path, gateway: Recorder, plan: ClaudePlan, tmp_path: Path
) -> None:
    assert plan.managed is not None
    home = tmp_path / "ada"
    (home / ".claude/settings.json").write_text(json.dumps(ELSEWHERE))
    policy = {**plan.managed.settings}
    policy.pop("requiredMaximumVersion", None)
    for name, content in (
        ("any", policy),
        ("limited", {**policy, "requiredMaximumVersion": RELEASE}),
    ):
        (tmp_path / f"{name}.json").write_bytes(written(content))
        (tmp_path / name).mkdir()
    inside = ["unshare", "--mount", "sh", "-c", POLICY, "sh"]
    done = start(
        home, *inside, tmp_path / "any", tmp_path / "any.json", newer, "-p", "Say something."
    )
    assert "heard" in done.stdout
    assert recorded_request(gateway) == ("thinker", 16384, keys("staff"))
    gateway.asked.clear()
    places = (tmp_path / "limited", tmp_path / "limited.json")
    done = start(home, *inside, *places, newer, "-p", "Say something.")
    assert done.returncode != 0
    assert f"{NEWER} is newer than the maximum version" in done.stdout + done.stderr
    assert gateway.asked == []
