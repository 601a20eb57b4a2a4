"""Invalid lock files in a project's locks/.

Tests check the shipped lock files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from mirrorfleet.config.lock_files import INDEX, LockFile, pins
from mirrorfleet.config.problems import Place, Problem, did_you_mean

MIGRATIONS = "litellm-proxy-extras"
"""The package with LiteLLM's database schema."""

HASHES = "Generate it with `uv pip compile --generate-hashes`."
INTEGRITY = re.compile(r"sha512-[A-Za-z0-9+/]{86}==")
MACHINES = ("x86_64", "aarch64", "Darwin arm64", "Darwin x86_64")

Mistake = tuple[int, str, str]
"""A line, the mistake, and the fix."""


def problems(
    lock: LockFile, text: str, release: str, package: str | None, *, tables: bool
) -> Iterator[Problem]:
    """Yield the problems of the lock file of a release, each with its line.

    ``package``: its Python package, ``None`` for Claude Code. ``tables``: whether a database needs
    its schema.
    """
    if package is None:
        found = _npm(text, release)
    else:
        found = _python(text, package, release, tables=tables)
    for line, mistake, remedy in found:
        yield Problem(Place(lock.shown, line), (), mistake, remedy)


def line_of(text: str, package: str) -> int:
    """Return the line that pins a package; 0 if there is none."""
    for number, line in enumerate(text.splitlines(), 1):
        if any(name == package for name, _ in pins(line)):
            return number
    return 0


def _python(text: str, package: str, version: str, *, tables: bool) -> Iterator[Mistake]:
    mistakes = list(_entries(text))
    yield from mistakes
    if mistakes:
        return
    found = dict(pins(text))
    if package not in found:
        yield 0, f"does not pin {package}.", f"Pin {package}=={version}."
    elif found[package] != version:
        yield (
            line_of(text, package),
            f"pins {package} {found[package]}, but the file is named after {version}.",
            f"Pin {package}=={version}, or rename the file.",
        )
    if tables and MIGRATIONS not in found:
        yield 0, f"does not pin {MIGRATIONS}, which a database needs.", "Lock litellm[proxy]."


def _entries(text: str) -> Iterator[Mistake]:
    """Yield each entry of a lock file that is not a pin, or has no hash."""
    lines = text.splitlines()
    index = 0
    while index < len(lines):
        start, line = index + 1, lines[index]
        index += 1
        if line.startswith(INDEX) and len(line.split()) != 4:
            yield start, f"'{line}' is not an index.", f"Write `{INDEX} PACKAGE URL`."
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        while line.endswith("\\"):
            line = f"{line[:-1]} {lines[index].strip() if index < len(lines) else ''}"
            index += 1
        requirement, *hashes = line.split(" --hash=")
        requirement = requirement.strip()
        if not _is_pin(requirement):
            yield start, f"'{requirement}' is not a pin such as litellm==1.106.12.", HASHES
        elif not hashes:
            yield start, f"'{requirement}' has no hash.", HASHES
        elif bad := [text for text in hashes if not _is_hash(text)]:
            yield start, f"'{requirement}' has the invalid hash '{bad[0].strip()}'.", HASHES


def _is_pin(text: str) -> bool:
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return False
    specifiers = list(requirement.specifier)
    return (
        requirement.url is None
        and len(specifiers) == 1
        and specifiers[0].operator == "=="
        and not specifiers[0].version.endswith("*")
        and any(True for _ in pins(text))
    )


def _is_hash(text: str) -> bool:
    return re.fullmatch(r"sha256:[0-9a-f]{64}", text.strip()) is not None


def _npm(text: str, release: str) -> Iterator[Mistake]:
    """Yield the mistakes in a lock file of Claude Code."""
    example = f'{{"version": "{release}", "packages": {{"x86_64": {{"name": …, "integrity": …}}}}}}'
    try:
        content = json.loads(text)
    except ValueError as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 0
        yield line, f"is not JSON: {error}.", f"Write {example}."
        return
    packages = content.get("packages") if isinstance(content, dict) else None
    if not isinstance(packages, dict) or not packages:
        yield 0, "has no 'packages'.", f"Write {example}."
        return
    if content.get("version") != release:
        yield (
            _line(text, '"version"'),
            f"is for release {content.get('version')}, but the file is named after {release}.",
            f'Write "version": "{release}", or rename the file.',
        )
    for machine, package in packages.items():
        yield from _machine(text, machine, package)


def _machine(text: str, machine: str, package: Any) -> Iterator[Mistake]:
    line = _line(text, json.dumps(machine))
    if machine not in MACHINES:
        yield line, f"'{machine}' is not a known platform.", did_you_mean(machine, MACHINES)
    elif not isinstance(package, dict) or not isinstance(package.get("name"), str):
        yield line, f"{machine} has no package.", 'Write {"name": …, "integrity": "sha512-…"}.'
    elif not INTEGRITY.fullmatch(str(package.get("integrity"))):
        yield (
            line,
            f"{package['name']} needs an 'integrity' with a SHA-512 hash.",
            f"Write the output of `npm view {package['name']} dist.integrity`.",
        )


def _line(text: str, word: str) -> int:
    """Return the first line with a word; 0 if there is none."""
    lines = text.splitlines()
    return next((number for number, line in enumerate(lines, 1) if word in line), 0)
