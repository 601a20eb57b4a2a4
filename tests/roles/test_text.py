"""Text for other programs: commands of units, the environment file, and templates.

systemd reads an EnvironmentFile= by the rules of sh: between double quotes, a backslash escapes
each of \\ " $ ` and is literal elsewhere (systemd.exec(5)). So the tests use sh, which also reads
the file before a check.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorfleet.runtime.text import environment_file, exec_start, shell_lines, template
from tests.roles import systemd

VALUES = [
    "plain",
    "",
    "two words",
    'a "quoted" word',
    "it's",
    "$HOME and ${HOME} and $(id) and `id`",
    "back\\slash \\n \\\\ \\$ \\",
    "#no comment; && | > <",
    "!bang",
    "%percent",
    "grün 🙂",
    '{"json": "a\\nb"}',
]


@pytest.mark.parametrize("value", VALUES)
def test_sh_reads_the_original_value(tmp_path: Path, value: str) -> None:
    file = tmp_path / "environment"
    file.write_text(environment_file({"VALUE": value, "AFTER": "x"}))
    command = 'set -aeu; . "$0"; printf "%s|%s" "$VALUE" "$AFTER"'
    read = subprocess.run(["sh", "-c", command, file], capture_output=True, check=True, timeout=120)
    assert read.stdout.decode() == f"{value}|x"


PROGRAM = "/usr/bin/env"

ARGUMENTS = [
    *VALUES,
    "--plain",
    "100 %zz",
    "%h/x %",
    '--hf-overrides={"note": "a --b $HOME \\\\n 5 %"}',
    "$HOME",
    "${HOME}",
    "$$",
    "-",
    ";",
    "\\",
    '--it\'s="so"',
    "a\\x41",
]

WORDS = st.text(
    st.sampled_from("ab-%$\\{}'\"; #@:!=n\U0001f642x")
    | st.characters(exclude_categories=("Cc", "Cs"))
)


def unit(command: list[str]) -> str:
    return f"[Service]\nExecStart={exec_start(command)}\nRemainAfterExit=yes\n"


@given(st.lists(WORDS))
def test_a_service_gets_the_original_arguments(words: list[str]) -> None:
    command = [PROGRAM, *words]
    assert systemd.arguments(unit(command), {"HOME": "/root", "a": "b"}) == command


@pytest.mark.parametrize("value", ARGUMENTS)
def test_systemd_accepts_the_command_of_a_service(tmp_path: Path, value: str) -> None:
    """Only a running systemd shows the arguments: tests/lab/verify/test_units.py."""
    command = [PROGRAM, value, f"--option={value}"]
    assert systemd.arguments(unit(command), {"HOME": "/root"}) == command
    if not shutil.which("systemd-analyze"):
        return
    (tmp_path / "x.service").write_text(unit(command))
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "x.service"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert f"{tmp_path}/x.service" not in done.stderr


@pytest.mark.parametrize("value", ["a\nb", "bell\a", "\x1b[0m", "tab\there", "half \ud800"])
def test_control_characters_are_rejected_in_a_unit(value: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        exec_start([PROGRAM, value])


def test_each_option_of_a_command_is_on_its_own_line() -> None:
    command = [PROGRAM, "serve", "--a=1", '--b={"x": " --c"}', "--d"]
    assert exec_start(command) == (
        PROGRAM + ' serve \\\n    --a=1 \'--b={"x": " --c"}\' \\\n    --d'
    )


@settings(max_examples=20)
@given(st.lists(WORDS, min_size=1))
def test_sh_gets_the_original_words(words: list[str]) -> None:
    command = shell_lines(["printf", "%s\\0", "--", *words])
    read = subprocess.run(["sh", "-c", command], capture_output=True, check=True, timeout=120)
    assert read.stdout.decode().split("\0") == ["--", *words, ""]


def test_variables_are_sorted_by_name() -> None:
    assert environment_file({"B": "2", "A": "1"}) == 'A="1"\nB="2"\n'


def test_a_missing_variable_of_a_template_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.j2").write_text("{{ missing }}\n")
    with pytest.raises(Exception, match="missing"):
        template(tmp_path / "x.j2")
