"""bin/release: which heading of the changelog it accepts. The rest of it builds and tags."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def release(directory: Path, changelog: str) -> str:
    """Run bin/release in a small repository, and return its messages.

    The version there is tagged already, which is the check after that of the heading.
    """
    (directory / "bin").mkdir()
    shutil.copy(ROOT / "bin/release", directory / "bin")
    (directory / "bin/setup").write_text("#!/bin/sh\n")
    (directory / "bin/setup").chmod(0o755)
    (directory / "mirrorfleet").mkdir()
    (directory / "mirrorfleet/__init__.py").write_text('__version__ = "0.2.0"\n')
    (directory / "CHANGELOG.md").write_text(changelog)
    author = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    for command in (("init", "-q"), ("add", "."), ("commit", "-qm", "first"), ("tag", "v0.2.0")):
        subprocess.run(["git", *author, *command], cwd=directory, check=True, timeout=120)
    done = subprocess.run(
        ["bin/release"], cwd=directory, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize("heading", ["## 0.2.0", "## 0.2.0 (2026-12-01)"])
def test_a_heading_of_a_release_is_accepted(tmp_path: Path, heading: str) -> None:
    assert "the tag v0.2.0 exists" in release(tmp_path, f"# Changelog\n\n{heading}\n")


@pytest.mark.parametrize(
    "heading", ["## 0.2.0 (not released)", "## 0.2.01", "## 0.2.0 (soon)", "## 0.1.0"]
)
def test_any_other_heading_is_rejected(tmp_path: Path, heading: str) -> None:
    found = heading if "0.2.0" in heading else "no heading"
    message = release(tmp_path, f"# Changelog\n\n{heading}\n")
    assert message.startswith(f"release: CHANGELOG.md has '{found}' for 0.2.0: write '## 0.2.0 (2")
