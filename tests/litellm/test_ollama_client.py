"""The real Claude Code with prompts that exceed the window of a model on Ollama.

Skipped if the pinned client is not in the cache (a run of mirror.py downloads it), unless
MIRRORFLEET_CLAUDE names its program.
"""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet import fleet
from mirrorfleet.roles.claude.json_file import written
from mirrorfleet.roles.claude.user_settings import assignment_of
from mirrorfleet.runtime.cache import directory
from tests.litellm import ollama
from tests.litellm.gateway import Gateway
from tests.litellm.ollama import REAL, Engine
from tests.litellm.upstream import Upstream
from tests.waiting import limited

PROGRAM = os.environ.get("MIRRORFLEET_CLAUDE")
PACKAGE = directory() / "npm/anthropic-ai-claude-code-linux-x64-2.1.331.tgz"

pytestmark = [
    pytest.mark.skipif(not (PROGRAM or PACKAGE.exists()), reason="the client is not in the cache"),
    pytest.mark.skipif(bool(REAL), reason="needs the stand-in, which calls tools on request"),
]

WINDOW = 65536

ANSWER = "I am the stand-in for Ollama"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if PROGRAM:
        yield Path(PROGRAM)
        return
    place = tmp_path_factory.mktemp("client")
    with tarfile.open(PACKAGE) as archive:
        archive.extract("package/claude", place, filter="data")
    yield place / "package/claude"
    (place / "package/claude").unlink()  # pytest keeps its directories, and this is 380 MB


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with ollama.engine(tmp_path_factory.mktemp("engine"), WINDOW) as found:
        yield found


@pytest.fixture(scope="module")
def gateway(
    engine: Engine, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    place = tmp_path_factory.mktemp("gateway")
    with ollama.gateway(place, upstream, engine.url, window=WINDOW) as found:
        yield found


@pytest.fixture(scope="module")
def home(gateway: Gateway) -> Path:
    """Return the home of a developer, with the files of a run."""
    text = (gateway.directory / "fleet.yml").read_text()
    path = gateway.directory / "reached.yml"
    path.write_text(text.replace("  hosts: [gw]\n", f"  hosts: [gw]\n  url: {gateway.url}\n"))
    clients = fleet.plan(fleet.load(path)).hosts["dev"].clients
    assert clients
    [ada] = clients.users
    home, where = gateway.directory / "home", assignment_of(ada)
    (home / where.directory).mkdir(parents=True)
    (home / where.key).write_text(gateway.key)
    (home / where.state).write_bytes(written(ada.state))
    (home / where.settings).write_bytes(written(ada.settings))
    return home


def digits(size: int) -> str:
    """Return text with far more tokens than the client estimates: a quarter of its size."""
    return "\n".join(sha256(b"%d" % at).hexdigest() for at in range(size // 65))


def started(home: Path, *command: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*command, "-p"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "IS_SANDBOX": "1"},
        cwd=home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def output(home: Path, prompt: str, *command: str | Path) -> str:
    with limited(started(home, *command), seconds=120) as process:
        return process.communicate(prompt)[0]


def test_a_prompt_of_120_kb_is_refused(client: Path, home: Path, engine: Engine) -> None:
    assert ANSWER in output(home, "Say something.", client)
    shown = output(home, f"Explain this:\n{digits(120_000)}", client)
    assert shown.startswith("Prompt is too long")
    assert ANSWER not in shown
    assert engine.cuts() == 0


def test_a_large_tool_result_is_refused(client: Path, home: Path, engine: Engine) -> None:
    (home / "big.txt").write_text(digits(29_000))
    prompt = f'{digits(50_000)}\nuse Bash {{"command": "cat big.txt"}}'
    shown = output(home, prompt, client, "--dangerously-skip-permissions")
    assert shown.startswith("Prompt is too long")
    assert ANSWER not in shown
    assert engine.cuts() == 0


def test_a_long_conversation_is_compacted_and_never_cut(
    client: Path, home: Path, engine: Engine
) -> None:
    streams = ("--input-format", "stream-json", "--output-format", "stream-json", "--verbose")
    events: list[dict[str, Any]] = []
    options = ("--tools", "", "--no-session-persistence")
    with limited(started(home, client, *streams, *options), seconds=180) as session:
        assert session.stdin and session.stdout
        for part in range(9):
            content = f"Part {part} of a file:\n{digits(9_000 + part)}"
            message = {"type": "user", "message": {"role": "user", "content": content}}
            session.stdin.write(json.dumps(message) + "\n")
            session.stdin.flush()
            for line in session.stdout:
                events.append(json.loads(line))
                if events[-1]["type"] == "result":
                    break
        session.stdin.close()
    results = [event for event in events if event["type"] == "result"]
    assert [result["is_error"] for result in results] == [False] * 9
    compacted = [event for event in events if event.get("subtype") == "compact_boundary"]
    assert len(compacted) == 1
    assert engine.cuts() == 0
