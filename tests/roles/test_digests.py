"""Digests of this machine's files: read once, and again when a file has changed."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from mirrorfleet.runtime import digests


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_file_is_read_once_and_again_when_it_has_changed(
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

    # Another file under the same name, of the same size and time: what was moved into its place.
    files[1].with_suffix(".new").write_text("B")
    os.utime(files[1].with_suffix(".new"), ns=(0, files[1].stat().st_mtime_ns))
    files[1].with_suffix(".new").rename(files[1])
    assert digests.digest(files[1]) == sha256(b"B").hexdigest()
    assert len(read) == 4


def test_a_book_that_cannot_be_read_is_written_anew(tmp_path: Path) -> None:
    book = tmp_path / "cache/mirrorfleet/digests.json"
    book.parent.mkdir(parents=True)
    book.write_text("half of the boo")
    (tmp_path / "a").write_text("a")
    for _ in range(2):
        assert digests.digest(tmp_path / "a") == sha256(b"a").hexdigest()
