"""Tests of the download cache: it keeps complete files with the pinned hash, and no others."""

from __future__ import annotations

import base64
from hashlib import sha512
from pathlib import Path

import pytest
from pyinfra.api.exceptions import DeployError

from mirrorfleet.runtime import cache


@pytest.fixture(autouse=True)
def cache_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "mirrorfleet"


def cached_files(directory: Path) -> list[str]:
    return [str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()]


def test_a_file_is_created_once(cache_directory: Path) -> None:
    created = []

    def make(path: Path) -> None:
        created.append(path)
        path.write_text("content")

    for _ in range(2):
        assert cache.cached("wheels/x.tar", make).read_text() == "content"
    assert len(created) == 1
    assert cached_files(cache_directory) == ["wheels/x.tar"]


def test_an_interrupted_download_leaves_nothing_and_is_repeated(cache_directory: Path) -> None:
    def interrupt(path: Path) -> None:
        path.write_text("half of the cont")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.cached("wheels/x.tar", interrupt)
    assert cached_files(cache_directory) == []

    def complete(path: Path) -> None:
        path.write_text("content")

    assert cache.cached("wheels/x.tar", complete).read_text() == "content"


def pack(content: bytes, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let `npm pack` write this content; return its integrity in the format of a lock file."""

    def npm(command: list[str], failure: str, directory: str) -> None:
        name, version = command[-1].rsplit("@", 1)
        file = f"{name.lstrip('@').replace('/', '-')}-{version}.tgz"
        (Path(directory) / file).write_bytes(content)

    monkeypatch.setattr(cache, "_run", npm)
    return "sha512-" + base64.b64encode(sha512(content).digest()).decode()


def test_a_package_with_the_pinned_hash_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    integrity = pack(b"right", monkeypatch)
    assert cache.npm_package("@a/b", "1.0.0", integrity).read_bytes() == b"right"


def test_a_package_with_another_hash_is_not_cached(
    cache_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = pack(b"right", monkeypatch)
    pack(b"evil", monkeypatch)
    with pytest.raises(DeployError, match=r"@a/b 1\.0\.0 has the hash"):
        cache.npm_package("@a/b", "1.0.0", pinned)
    assert cached_files(cache_directory) == []


@pytest.mark.parametrize("found", [b"evil", b"", b"righ"])
def test_a_package_that_changed_in_the_cache_is_downloaded_again(
    cache_directory: Path, monkeypatch: pytest.MonkeyPatch, found: bytes
) -> None:
    integrity = pack(b"right", monkeypatch)
    path = cache.npm_package("@a/b", "1.0.0", integrity)
    path.write_bytes(found)
    assert cache.npm_package("@a/b", "1.0.0", integrity).read_bytes() == b"right"


def test_wheels_are_downloaded_for_the_python_of_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(cache, "_run", lambda command, *_: commands.append(command))
    old = cache.wheels("a==1\n", "x", "3.11.2", "x86_64", also="")
    new = cache.wheels("a==1\n", "x", "3.13.5", "aarch64", also="")
    assert old != new
    [first, second] = commands
    assert {"--require-hashes", "--no-deps", "--only-binary=:all:"} <= {*first}
    assert {"--python-version=3.11", "--abi=cp311", "--platform=manylinux2014_x86_64"} <= {*first}
    assert {"--python-version=3.13", "--abi=cp313", "--platform=manylinux2014_aarch64"} <= {*second}
