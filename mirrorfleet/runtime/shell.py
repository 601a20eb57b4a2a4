"""Shell scripts for hosts: static files; quoted assignments before a script are its arguments."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path

from mirrorfleet.runtime.paths import ROOT, STATE

KNOWN = {"root": ROOT, "state": STATE}
"""Arguments that every script may declare and no caller passes."""

_COMMENT = re.compile(r"^[ \t]*#.*\n", re.MULTILINE)
_DIRECTIVE = re.compile(r"^[ \t]*# shellcheck .*\n", re.MULTILINE)
_DECLARED = re.compile(r'^: "\$\{.*\n', re.MULTILINE)
_ARGUMENT = re.compile(r'"\$\{(\w+)\?\}"')
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)


def shell(path: Path, **arguments: str | int) -> str:
    """Return the script in a file as text: an assignment for each argument, then the file.

    The file declares its arguments in lines like ``: "${directory?}" "${user?}"``. A text after the
    question mark marks a variable that an earlier script sets. Declarations, comments and
    indentation are removed, because every host receives the text.

    Raises ``ValueError`` unless exactly the declared arguments are given.
    """
    declared, code = _read(path)
    given = {name: KNOWN[name] for name in declared if name in KNOWN} | arguments
    if given.keys() != declared:
        raise ValueError(
            f"{path.name} declares the arguments {sorted(declared)}, not {sorted(given)}"
        )
    assigned = (f"{name}={shlex.quote(str(given[name]))}\n" for name in sorted(given))
    return "".join(assigned) + code


def call(function: str, *words: str) -> str:
    """Return a line that calls a shell function or a program with these words."""
    return f"{shlex.join([function, *words])}\n"


def positional(*words: str) -> str:
    """Return a line that makes the words the positional parameters of the script after it."""
    return call("set", "--", *words)


def code(path: Path) -> str:
    """Return a file without comments and declarations, with its indentation."""
    return _DECLARED.sub("", _COMMENT.sub("", path.read_text(encoding="utf-8")))


def installed_script(path: Path) -> str:
    """Return a script that a host stores as a file, without directives for shellcheck."""
    return _DIRECTIVE.sub("", path.read_text(encoding="utf-8"))


@cache
def _read(path: Path) -> tuple[frozenset[str], str]:
    declarations = _DECLARED.findall(path.read_text(encoding="utf-8"))
    names = (name for line in declarations for name in _ARGUMENT.findall(line))
    return frozenset(names), _INDENT.sub("", code(path))
