"""The mistakes of newcomers in mistakes.md, each with the answer that a colleague would give.

Each begins in a new repository of `mirrorfleet init`. To record the answers again, and read the
diff: MIRRORFLEET_UPDATE_GOLDEN=1 pytest tests/newcomer.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mirrorfleet.cli.main import main
from mirrorfleet.data import proposed

LIST = Path(__file__).parent / "mistakes.md"
FILE = "inventories/prod.yml"

SECRETS = ("ENGINE_KEY", "ANTHROPIC_API_KEY", "LITELLM_MASTER_KEY", "MIRRORFLEET_KEY_ROOT")

MISTAKE = re.compile(
    r"^## (?P<title>[^\n]+)\n\n(?:```diff\n(?P<diff>.*?)```\n\n)?"
    r"```console\n\$ mirrorfleet (?P<command>[^\n]+)\n(?P<answer>.*?)```\n",
    re.MULTILINE | re.DOTALL,
)


class Mistake(NamedTuple):
    """``edits`` are the lines of the fleet file that are replaced, by their beginnings."""

    title: str
    edits: tuple[tuple[str, str], ...]
    command: str
    answer: str


def mistakes() -> Iterator[Mistake]:
    for found in MISTAKE.finditer(LIST.read_text("utf-8")):
        lines = (found["diff"] or "").splitlines()
        removed = [line[1:].replace("\\n", "\n") for line in lines if line.startswith("-")]
        added = [line[1:].replace("\\n", "\n") for line in lines if line.startswith("+")]
        edits = tuple(zip(removed, added, strict=True))
        yield Mistake(found["title"], edits, found["command"], found["answer"])


@pytest.fixture(name="repository")
def new_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (*SECRETS, "MIRRORFLEET_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["init"]) == 0
    return tmp_path


def answer(mistake: Mistake, directory: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Make a mistake in a repository, and return what the user reads, with the exit code."""
    text = (directory / FILE).read_text("utf-8")
    for old, new in mistake.edits:
        assert text.count(old) == 1, f"{mistake.title}: {old!r}"
        text = text.replace(old, new)
    (directory / FILE).write_text(text, "utf-8")
    capsys.readouterr()
    try:
        code: object = main(shlex.split(mistake.command))
    except SystemExit as end:  # pyinfra's way to end a run
        print(end.code)
        code = 1
    out, err = capsys.readouterr()
    output = (err + out).replace(str(directory), "/home/you/fleet")
    # The release that Mirrorfleet proposes moves.
    output = output.replace(f"Write {proposed('litellm')},", "Write {litellm},")
    return f"{output.rstrip()}\n[exit code {code}]\n"


@pytest.mark.parametrize("mistake", mistakes(), ids=lambda mistake: mistake.title)
def test_a_mistake_has_an_answer_with_a_fix(
    mistake: Mistake, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(mistake, repository, capsys)
    if os.environ.get("MIRRORFLEET_UPDATE_GOLDEN"):
        command = f"$ mirrorfleet {mistake.command}\n"
        text = LIST.read_text("utf-8")
        start = text.index(f"## {mistake.title}\n")
        old = f"{command}{mistake.answer}```"
        text = text[:start] + text[start:].replace(old, f"{command}{found}```", 1)
        LIST.write_text(text, "utf-8")
    assert found == mistake.answer
    assert "Traceback" not in found


def test_the_list_is_complete() -> None:
    found = list(mistakes())
    assert len(found) >= 38
    assert len(found) == LIST.read_text("utf-8").count("\n## "), "one that does not parse"
    assert len({mistake.title for mistake in found}) == len(found)
