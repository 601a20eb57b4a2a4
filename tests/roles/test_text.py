"""Text for other programs: the environment file, and templates.

systemd reads an EnvironmentFile= by the rules of sh: between double quotes, a backslash goes before
each of \\ " $ ` and means itself elsewhere (systemd.exec(5)). So sh, which reads the file before a
check, is the judge for both.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from roles.host.text import environment_file, template

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
def test_sh_reads_the_value_that_was_meant(tmp_path: Path, value: str) -> None:
    file = tmp_path / "environment"
    file.write_text(environment_file({"VALUE": value, "AFTER": "x"}))
    command = 'set -aeu; . "$0"; printf "%s|%s" "$VALUE" "$AFTER"'
    read = subprocess.run(["sh", "-c", command, file], capture_output=True, check=True)
    assert read.stdout.decode() == f"{value}|x"


def test_the_order_does_not_depend_on_who_said_what_first() -> None:
    assert environment_file({"B": "2", "A": "1"}) == 'A="1"\nB="2"\n'


def test_a_template_that_asks_for_what_it_is_not_given_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.j2").write_text("{{ missing }}\n")
    with pytest.raises(Exception, match="missing"):
        template(tmp_path / "x.j2")
