"""Scripts for hosts: quoting of arguments, checks of declarations, and syntax."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import mirrorfleet
from mirrorfleet.runtime.shell import call, installed_script, positional, shell
from tests.roles import programs

SHELLS = [name for name in ("dash", "bash") if shutil.which(name)]
PACKAGE = Path(mirrorfleet.__file__).parent
SCRIPTS = sorted(
    path for folder in ("runtime", "jobs", "roles/") for path in (PACKAGE / folder).rglob("*.sh")
)

HOSTILE = ["", "two  words", "it's", '"$HOME" `id` $(id)', "a\nb\\n", "-n", "*", "é;#"]

SCRIPT = """\
# What it is for.
: "${value?}" "${root?}"
: "${before?by another script}"
if [ -n "$root" ]; then
    # Why.
    printf '%s' "$value" # here
fi
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.sh"
    path.write_text(SCRIPT)
    return path


@pytest.mark.parametrize("program", SHELLS)
@pytest.mark.parametrize("value", HOSTILE)
def test_an_argument_arrives_unchanged(script: Path, program: str, value: str) -> None:
    assert programs.run([program], shell(script, value=value)).stdout == value
    words = positional(value, "last") + 'printf "%s." "$@"\n'
    assert programs.run([program], words).stdout == f"{value}.last."
    assert programs.run([program], call("printf", "%s.", value)).stdout == f"{value}."


def test_comments_declarations_and_indentation_are_not_sent(script: Path) -> None:
    assert shell(script, value=1).splitlines() == [
        "root=/opt/mirrorfleet",
        "value=1",
        'if [ -n "$root" ]; then',
        "printf '%s' \"$value\" # here",
        "fi",
    ]


@pytest.mark.parametrize("given", [{}, {"value": "", "other": ""}, {"value": "", "before": ""}])
def test_arguments_must_match_the_declarations_of_the_script(
    script: Path, given: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match=r"script\.sh declares the arguments \['root', 'value'\]"):
        shell(script, **given)


def test_an_installed_script_has_no_shellcheck_directives(tmp_path: Path) -> None:
    path = tmp_path / "server.sh"
    path.write_text("# Why.\nif true; then\n    # shellcheck disable=SC2012 # why\n    ls\nfi\n")
    assert installed_script(path) == "# Why.\nif true; then\n    ls\nfi\n"


@pytest.mark.parametrize("program", SHELLS)
def test_every_shell_parses_every_script(program: str) -> None:
    assert len(SCRIPTS) > 40
    errors = {path.name: programs.run([program, "-n", str(path)]).stderr for path in SCRIPTS}
    assert {name: text for name, text in errors.items() if text} == {}
