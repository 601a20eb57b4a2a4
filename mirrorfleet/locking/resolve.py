"""Resolve an .in file with uv: one version and the hashes of every package.

An .in file contains its own options, in lines that start with "# lock:".
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from ast import literal_eval
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from mirrorfleet.config.lock_files import INDEX, WITHOUT_COOLDOWN, indexes, page
from mirrorfleet.locking.target import COOLDOWN, LockError

BESIDE = Path(sys.executable).parent / "uv"


def uv() -> str:
    """Return uv: that of this environment, else of this machine. Raises ``LockError``."""
    found = str(BESIDE) if BESIDE.is_file() else shutil.which("uv")
    if found is None:
        raise LockError("uv is missing: install it, for example with `pip install uv`")
    return found


def resolve(
    root: Path,
    sources: Sequence[Path],
    command_line: str,
    options: Sequence[str] = (),
    *,
    reason: str | None = None,
    early: Sequence[str] = (),
) -> str:
    """Return the text of a lock file for some .in files below ``root``.

    ``command_line`` is what its head names as its origin. With a ``reason``, the packages
    ``early`` may be younger than the cooldown. Raises ``LockError`` if packages conflict.
    """
    today = date.today()
    text = sources[0].read_text("utf-8")
    options = options or _options(text)
    names = [str(path.relative_to(root) if path.is_relative_to(root) else path) for path in sources]
    command = [uv(), "pip", "compile", *names, *options, "--upgrade", "--quiet"]
    command += ["--python-version=3.11", "--generate-hashes", "--no-annotate"]
    command += [f"--exclude-newer={today - COOLDOWN}"]
    if reason:
        command += [f"--exclude-newer-package={name}={today}" for name in early]
    command += [f"--custom-compile-command={command_line}"]
    own_indexes = indexes(text)
    output = _compiled(root, command, own_indexes) if own_indexes else _ordinary(root, command)
    note = f"{WITHOUT_COOLDOWN} ({', '.join(early)}, {today}): {reason}\n" if reason else ""
    return note + "".join(f"{INDEX} {name} {url}\n" for name, url in own_indexes.items()) + output


def _options(text: str) -> list[str]:
    options = re.findall(r"^# lock: (.*)$", text, re.M)
    return [word for line in options for word in line.split()]


Done = subprocess.CompletedProcess[str]


def _run(root: Path, command: list[str], environment: dict[str, str] | None = None) -> Done:
    return subprocess.run(command, cwd=root, env=environment, text=True, capture_output=True)


def _ordinary(root: Path, command: list[str]) -> str:
    done = _run(root, command)
    if done.returncode:
        raise LockError(f"uv cannot resolve it, and nothing is written:\n{done.stderr.strip()}")
    return done.stdout


TIMEOUTS = {"UV_HTTP_TIMEOUT": "15", "UV_HTTP_RETRIES": "1"}
"""Limits after which an index counts as unreachable."""


def _compiled(root: Path, command: list[str], own_indexes: dict[str, str]) -> str:
    """Resolve with packages from their own indexes: first from the locations in pip's
    configuration, then from those indexes."""
    pages = [page(url, name) for name, url in own_indexes.items()]
    errors = []
    for locations in (_folders(), pages):
        links = [f"--find-links={location}" for location in locations]
        done = _run(root, [*command, *links], {**os.environ, **TIMEOUTS})
        if done.returncode == 0:
            return done.stdout
        errors.append(done.stderr.strip())
    raise LockError(
        "\n".join(dict.fromkeys(errors)) + f"\n{', '.join(own_indexes)} needs its own index: this "
        "machine's configuration of uv "
        f"and pip did not work, and neither did {', '.join(pages)}. If this machine cannot reach "
        "that index, download the wheels on another machine, put them into a folder, and "
        f"run: {sys.executable} -m pip config set global.find-links FOLDER"
    )


def _folders() -> list[str]:
    """Return the find-links of pip's configuration on this machine, which uv does not read."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    lines = subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    options = dict(line.split("=", 1) for line in lines if "=" in line)
    links = [value for name, value in options.items() if name.endswith(".find-links")]
    return [*dict.fromkeys(link for value in links for link in literal_eval(value).split())]
