"""The program of `mirrorfleet lock`: lock a release, and print what it changes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from mirrorfleet.advisory_folders import advisories
from mirrorfleet.config import claude_settings
from mirrorfleet.config.advisories import CLAUDE_CODE, LITELLM
from mirrorfleet.config.lock_files import NPM, PYTHON
from mirrorfleet.config.ollama import PACKAGE as OLLAMA
from mirrorfleet.config.vllm import PACKAGE as VLLM
from mirrorfleet.data import has_table, load, price_list, table
from mirrorfleet.lock_folders import OWN
from mirrorfleet.locking import claude_releases, ollama_releases, python_releases, report
from mirrorfleet.locking.target import LockError, Target, previous, target

TITLES = {"litellm": "LiteLLM", "vllm": "vLLM", "claude": "Claude Code", "ollama": "Ollama"}
"""The services with releases, and their names in sentences."""

PACKAGES = {
    "litellm": LITELLM,
    "vllm": VLLM,
    "claude": CLAUDE_CODE,
    "ollama": OLLAMA,
}
"""What advisories call them."""

KEYS = {
    "litellm": "gateway.version",
    "vllm": "the version of a model",
    "claude": "the version of a group",
}
"""The keys of a fleet file that name a release."""


def main(
    service: str,
    release: str,
    *,
    early: Sequence[str] = (),
    reason: str | None = None,
    file: Path | None = None,
    directory: Path | None = None,
) -> int:
    """Lock a release, from ``directory``; return 0, or 1 after a message."""
    try:
        place = target(directory or Path())
        if service == "ollama":
            before = previous(release, ollama_releases.locked(place))
            ollama_releases.lock(place, release, file, reason)
            _print(
                place, service, release, before, list(_advisories(place, service, release, before))
            )
        elif service == "claude":
            lock = claude_releases.lock(place, release, reason)
            _compare(place, service, release, lock)
        else:
            lock = python_releases.lock(place, service, release, reason, early)
            _compare(place, service, release, lock)
    except LockError as error:
        print(f"lock: {error}.", file=sys.stderr)
        return 1
    return 0


def _compare(place: Target, service: str, release: str, lock: Path) -> None:
    """Print what is different from the release before, and what to do next."""
    suffix = NPM if service == "claude" else PYTHON
    others = place.locked(service, suffix)
    before = previous(release, others)
    lines = list(_changes(place, service, release, before, others, lock))
    _print(place, service, release, before, [*_advisories(place, service, release, before), *lines])


def _print(place: Target, service: str, release: str, before: str | None, lines: list[str]) -> None:
    if before:
        print(f"\n{TITLES[service]} {release}, compared with {before}:")
        for line in lines or ["nothing that Mirrorfleet knows of"]:
            print(f"  {line}")
    print(f"\nNext: {_next(place, service, release.removesuffix('-cpu'))}")


def _advisories(place: Target, service: str, release: str, before: str | None) -> list[str]:
    known = advisories(place.root / "inventories/fleet.yml")
    old, new = (
        known.hits(PACKAGES[service], name.removesuffix("-cpu")) if name else []
        for name in (before, release)
    )
    return list(report.advisories(old, new))


def _changes(
    place: Target,
    service: str,
    release: str,
    before: str | None,
    others: dict[str, Path],
    lock: Path,
) -> Iterator[str]:
    if service == "claude":
        after = _client(place, release)
        old = _client(place, before) if before else None
        if after and old:
            yield from report.client(old, after)
        if after:
            yield from report.gone_from_client(after)
        return
    if before:
        yield from report.packages(others[before].read_text("utf-8"), lock.read_text("utf-8"))
    known = _names(place, service, release)
    if before and (former := _names(place, service, before)):
        yield from report.names(former, known)
        if service == "vllm":
            yield from report.without_family(former, known)
    if service == "vllm":
        yield from report.gone_from_vllm(known)
        return
    yield from report.gone_from_litellm(known)
    lists = [price_list.DATA / f"{name}.json" for name in (before, release)]
    if all(path.is_file() for path in lists):
        yield from report.price_lists(*lists)


def _client(place: Target, release: str) -> claude_settings.Release | None:
    path = place.known("claude", release, NPM)
    return claude_settings.read(path) or claude_settings.release(release)


def _names(place: Target, service: str, release: str) -> report.Names:
    """Return the names of a release: those here, else the shipped ones; empty if there are none."""
    number = release.removesuffix("-cpu")
    path = place.known(service, number, ".yml")
    if path.is_file():
        here: report.Names = load(path.read_text("utf-8"))
        return here
    name = f"{service}_known/{number}"
    return table(name) if has_table(name) else {}


def _next(place: Target, service: str, release: str) -> str:
    if place.own and service == "ollama":
        return "write these keys, and run `mirrorfleet check`"
    if place.own:
        return f"set {KEYS[service]} to {release}, run `mirrorfleet check`, and commit {OWN}/"
    tests = {
        "litellm": f"MIRRORFLEET_LITELLM={release} .venv/bin/python -m pytest tests/litellm",
        "claude": f"MIRRORFLEET_CLAUDE={release} .venv/bin/python -m pytest -m client tests/roles",
        "vllm": "bin/lab, for a CPU build; a CUDA build needs a GPU",
        "ollama": "MIRRORFLEET_OLLAMA=PROGRAM .venv/bin/pytest tests/litellm/test_ollama.py",
    }
    return f"bin/test fast, then the real thing: {tests[service]}"
