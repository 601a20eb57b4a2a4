"""The real Claude Code behind a gateway with limits and budgets: what a developer sees."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mirrorfleet import fleet
from mirrorfleet.config.budgets import Budget
from mirrorfleet.config.limits import Limits, TurnLimits, Turns
from mirrorfleet.roles.claude.json_file import written
from mirrorfleet.roles.claude.user_settings import assignment_of
from tests.litellm.conftest import GOOD
from tests.litellm.gateway import Gateway, planned, serving, write_keys
from tests.litellm.upstream import SLOW, Upstream
from tests.roles.real_client import SHELL, needed, unpacked

pytestmark = [needed, pytest.mark.client]

LEAST = Budget("daily", "person", 1, None, "day", "UTC", (), {}, 0.1, 80)
PROGRAM = Path(__file__).parents[2] / "roles/claude/files/status_line.py"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with unpacked(tmp_path_factory.mktemp("client")) as found:
        yield found


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    plan = replace(planned(GOOD / "limits.yml"), redis=None, metrics_port=None)
    with serving(plan, upstream, tmp_path_factory.mktemp("gateway")) as found:
        yield found


def apply(gateway: Gateway, limits: TurnLimits, *budgets: Budget) -> None:
    plan = replace(gateway.plan, limits=Limits(None, None, None, {}, limits), budgets=budgets)
    write_keys(plan, gateway.secrets, gateway.directory)


def home(gateway: Gateway, place: Path) -> Path:
    """Create the home of ada as a run leaves it, with a status line."""
    path = place / "reached.yml"
    # A model whose stand-in streams.
    tiers, group = "{sonnet: cloud, haiku: cloud}", "{status_line: true, model: opus}"
    line = f"aliases: {tiers}\ndevelopers: {{team: {group}}}"
    path.write_text(f"include: {GOOD}/limits.yml\ngateway: {{url: '{gateway.url}'}}\n{line}\n")
    clients = fleet.plan(fleet.load(path)).hosts["dev"].clients
    assert clients
    [ada] = [user for user in clients.users if user.user == "ada"]
    [key] = [each.key for each in gateway.plan.keys if each.name == "ada"]
    found, where = place / "home", assignment_of(ada)
    (found / where.directory).mkdir(parents=True)
    (found / where.key).write_text(gateway.secrets[key])
    (found / where.state).write_bytes(written(ada.state))
    command = f"{sys.executable} -ISB {PROGRAM} {gateway.url}"
    assert ada.settings["statusLine"]["command"] == (
        f"python3 -ISB /opt/mirrorfleet/claude/status_line.py {gateway.url}"
    )
    line_here = {"statusLine": {"type": "command", "command": command}}
    (found / where.settings).write_bytes(written({**ada.settings, **line_here}))
    return found


def run(directory: Path, client: Path) -> tuple[int, str, float]:
    """Run the client with a prompt; return its exit status, its output, and the seconds."""
    begin = time.monotonic()
    done = subprocess.run(
        [client, "-p", "Say something."],
        env=SHELL | {"HOME": str(directory)},
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )
    return done.returncode, done.stdout + done.stderr, time.monotonic() - begin


def status_line(directory: Path, *arguments: str) -> tuple[int, str, str]:
    command: list[str | Path] = [sys.executable, "-ISB", PROGRAM, *arguments]
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_a_spent_budget_ends_the_client_with_the_sentence(
    client: Path, gateway: Gateway, upstream: Upstream, tmp_path: Path
) -> None:
    apply(gateway, TurnLimits(), replace(LEAST, exceptions={"ada": 0}))
    code, shown, seconds = run(home(gateway, tmp_path), client)
    assert code == 1
    assert "The daily budget 'daily' of ada is spent: 0 of 0 tokens" in shown
    assert "It starts again on " in shown
    assert seconds < 60, "it retried"
    assert upstream.taken() == []


def test_the_client_waits_for_another_turn_to_end(
    client: Path, gateway: Gateway, upstream: Upstream, tmp_path: Path
) -> None:
    apply(gateway, TurnLimits(fleet=Turns(None, 1)))
    slow = threading.Thread(target=gateway.message, args=("coder", SLOW), daemon=True)
    slow.start()
    time.sleep(1)
    assert gateway.message("coder").code == 429
    code, shown, _ = run(home(gateway, tmp_path), client)
    slow.join(60)
    assert code == 0, shown
    assert "heard" in shown


def test_the_status_line_shows_what_is_left(client: Path, gateway: Gateway, tmp_path: Path) -> None:
    apply(gateway, TurnLimits(), replace(LEAST, tokens=2_500_000))
    directory = home(gateway, tmp_path)
    code, text, errors = status_line(directory, gateway.url)
    assert (code, errors) == (0, "")
    assert text.startswith("daily: 2.5M tokens left until")
    assert "this week: " in text
    cache = directory / ".claude/mirrorfleet-status-line"
    assert cache.stat().st_mode & 0o777 == 0o600
    assert status_line(directory, "http://127.0.0.1:9")[1] == text, "kept for some seconds"


@pytest.mark.parametrize("key", ["sk-wrong", ""])
def test_a_status_line_without_an_answer_is_empty(
    gateway: Gateway, tmp_path: Path, key: str
) -> None:
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude/mirrorfleet-key").write_text(key)
    assert status_line(tmp_path, gateway.url) == (0, "", "")
    assert status_line(tmp_path / "none", "http://127.0.0.1:9") == (0, "", "")
    assert status_line(tmp_path) == (0, "", "")
