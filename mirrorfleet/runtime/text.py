"""Text for programs on hosts: templates and quoting."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from mirrorfleet.config.sandbox import has_controls


def template(path: Path, **values: Any) -> str:
    """Return a filled template. A missing value is an error."""
    return _compiled(path).render(values)


@cache
def _compiled(path: Path) -> jinja2.Template:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(path.read_text(encoding="utf-8"))


def exec_start(command: Sequence[str]) -> str:
    """Return a command in the syntax of systemd's ExecStart=.

    Unlike a shell, systemd expands % and $ and reads backslashes within any quotes
    (systemd.service(5)). Raises ``ValueError`` for control characters.
    """
    return lines([_exec_word(each) for each in command])


def shell_lines(command: Sequence[str], indent: int = 4) -> str:
    """Return a command in the syntax of sh, with an option per line."""
    return lines([shlex.quote(each) for each in command], indent)


def lines(words: Sequence[str], indent: int = 4) -> str:
    """Join the quoted words of a command, with each option on a line of its own."""
    return words[0] + "".join(
        f" \\\n{' ' * indent}{word}" if word.startswith("--") else f" {word}" for word in words[1:]
    )


_PLAIN = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
_ESCAPED = str.maketrans({"\\": "\\\\", "'": "\\'", "%": "%%", "$": "$$"})


def _exec_word(value: str) -> str:
    if has_controls(value):
        raise ValueError(f"a command cannot hold control characters: {value!r}")
    word = value.translate(_ESCAPED)
    return word if _PLAIN.fullmatch(value) else f"'{word}'"


def environment_file(values: dict[str, str]) -> str:
    """Return the values in the syntax of systemd's EnvironmentFile=, one quoted line each."""
    return "".join(f"{name}={_quoted(value)}\n" for name, value in sorted(values.items()))


def _quoted(value: str) -> str:
    for special in '\\"$`':
        value = value.replace(special, f"\\{special}")
    return f'"{value}"'
