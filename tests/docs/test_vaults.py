"""The commands of the page about vaults give `check --secrets` what it needs.

Programs stand in for SOPS, Vault and the others. They accept only the arguments that the page has,
as their makers document them, and fail otherwise.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest
import yaml

from mirrorfleet.cli.main import main
from tests.docs.pages import DOCS, Block, blocks
from tests.docs.test_fleets import BASE

PAGE = DOCS / "how-to/vaults.md"

DOCUMENTED = (
    r"sops decrypt --extract \[\"[a-z_]+\"\] [^ ]+\.sops\.yml",
    r"age -d -i [^ ]+ [^ ]+\.age",
    r"vault kv get -mount=[a-z]+ -field=[a-z_]+ [^ ]+",
    r"op read op://[a-z-]+/[a-z-]+/[a-z-]+",
    r"pass show [^ ]+",
    r"secret-tool lookup [a-z]+ [a-z]+",
)
"""Command lines that print one secret, as grep -E reads them."""

STANDIN = """\
#!/bin/sh
printf '%s\\n' "$(basename "$0") $*" | grep -qxE '{pattern}' || exit 64
echo "sk-$(printf '%s' "$*" | sha256sum | cut -c1-64)"
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the stand-ins first in the path; return the directory of a fleet."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for pattern in DOCUMENTED:
        program = folder / pattern.split()[0]
        program.write_text(STANDIN.format(pattern=pattern))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    for name in ("ENGINE_KEY", "ANTHROPIC_API_KEY", "LITELLM_MASTER_KEY"):
        monkeypatch.setenv(name, f"sk-{token_hex(32)}")
    return tmp_path


@pytest.mark.parametrize("block", blocks(PAGE, "yaml"), ids=str)
def test_a_fleet_takes_its_secrets_from_the_commands(
    block: Block, programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fragment = yaml.safe_load(block.text)
    assert list(_commands(fragment))
    assert _checked(programs, fragment) == 0, capsys.readouterr().err


def test_every_program_of_the_page_is_documented_above() -> None:
    named = {
        shlex.split(command)[0]
        for block in blocks(PAGE, "yaml")
        for command in _commands(yaml.safe_load(block.text))
    }
    assert named == {pattern.split()[0] for pattern in DOCUMENTED}


def test_another_command_stops_the_check(
    programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = {"command": "vault kv get -mount=secret mirrorfleet"}
    assert _checked(programs, {"keys": {"root": root}}) == 1
    assert re.search(
        "keys.root: the secret .* is missing: the command failed with exit code 64.",
        capsys.readouterr().err,
    )


def _checked(directory: Path, fragment: object) -> int:
    (directory / "base").mkdir()
    (directory / "base/company.yml").write_text(BASE.read_text("utf-8"))
    file = directory / "fleet.yml"
    file.write_text(f"include: base/company.yml\n{yaml.safe_dump(fragment)}")
    return main(["check", "--secrets", str(file)])


def _commands(content: object) -> Iterator[str]:
    if isinstance(content, dict):
        for key, value in content.items():
            if key == "command":
                yield value
            else:
                yield from _commands(value)
