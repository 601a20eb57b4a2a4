"""The real lock files, filtered for a host: each package once, with its hashes."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mirrorfleet.runtime.locks import for_host

ROLES = Path(__file__).parents[2] / "roles"
LOCKS = sorted(ROLES.glob("*/locks/*.txt"))
LITELLM = next(path for path in LOCKS if path.parts[-3] == "litellm").read_text("utf-8")
PYTHONS = ["3.11.2", "3.12.3", "3.13.5"]


def pinned(text: str) -> dict[str, str]:
    """Return name and version of each pinned package."""
    lines = re.findall(r"^([\w.-]+)(?:\[.*\])?==(\S+)", text, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in lines}


def test_a_package_for_old_pythons_is_installed_on_those_only() -> None:
    assert "async-timeout==5.0.1 ; python_full_version < '3.11.3'" in LITELLM
    assert "async-timeout" in pinned(for_host(LITELLM, "3.11.2", "x86_64"))
    assert "async-timeout" not in pinned(for_host(LITELLM, "3.11.3", "x86_64"))
    assert "async-timeout" not in pinned(for_host(LITELLM, "3.13.5", "x86_64"))


def test_packages_for_other_systems_are_left_out() -> None:
    assert "pywin32" in pinned(LITELLM)
    for python in PYTHONS:
        here = pinned(for_host(LITELLM, python, "x86_64"))
        assert not {"pywin32", "colorama", "tzdata"} & here.keys()
        assert "uvloop" in here


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_each_package_is_pinned_once_with_all_its_hashes(
    lock: Path, python: str, architecture: str
) -> None:
    text = lock.read_text("utf-8")
    entries = for_host(text, python, architecture).replace(" \\\n    ", " ").splitlines()
    names = []
    for entry in entries:
        requirement, *hashes = entry.split(" --hash=")
        names.append(canonicalize_name(Requirement(requirement).name))
        assert hashes == listed_hashes(text)[requirement], requirement
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert len(names) > 0


@cache
def listed_hashes(text: str) -> dict[str, list[str]]:
    """Return the hashes below each requirement of a lock file."""
    blocks = re.findall(r"^(\S+)(?: ;.*)? \\\n((?:    --hash=.*\n?)+)", text, re.MULTILINE)
    return {
        requirement: re.findall(r"--hash=(sha256:[0-9a-f]{64})", block)
        for requirement, block in blocks
    }


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_every_line_of_a_lock_file_has_a_hash(lock: Path) -> None:
    text = lock.read_text("utf-8").replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all("--hash=sha256:" in line for line in lines)
    assert len(lines) >= len(pinned(text)) > 0
