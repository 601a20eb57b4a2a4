"""Tests of the digests of local files: each file is read once, and again after a change."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from mirrorfleet.runtime import digests


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_file_is_read_once_and_again_after_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def count(path: str) -> str:
        read.append(Path(path).name)
        return real(path)

    real = digests._sha256
    monkeypatch.setattr(digests, "_sha256", count)
    files = [tmp_path / name for name in ("a", "b", "c")]
    for file in files:
        file.write_text(file.name)
    expected = [sha256(file.read_bytes()).hexdigest() for file in files]
    for _ in range(2):
        assert digests.digests(files) == expected
    assert sorted(read) == ["a", "b", "c"]

    # Another file with the same size and time is moved to this name.
    files[1].with_suffix(".new").write_text("B")
    os.utime(files[1].with_suffix(".new"), ns=(0, files[1].stat().st_mtime_ns))
    files[1].with_suffix(".new").rename(files[1])
    assert digests.digest(files[1]) == sha256(b"B").hexdigest()
    assert len(read) == 4


def test_an_unreadable_digest_cache_is_replaced(tmp_path: Path) -> None:
    cached = tmp_path / "cache/mirrorfleet/digests.json"
    cached.parent.mkdir(parents=True)
    cached.write_text("half of a fi")
    (tmp_path / "a").write_text("a")
    for _ in range(2):
        assert digests.digest(tmp_path / "a") == sha256(b"a").hexdigest()
