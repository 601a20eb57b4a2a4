"""What is fetched once and kept: whole and as the lock file pins it, or not at all."""

from __future__ import annotations

import base64
from hashlib import sha512
from pathlib import Path

import pytest
from pyinfra.api.exceptions import DeployError

from mirrorfleet.runtime import cache


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "mirrorfleet"


def everything(directory: Path) -> list[str]:
    return [str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()]


def test_a_file_is_made_once(empty: Path) -> None:
    made = []

    def make(path: Path) -> None:
        made.append(path)
        path.write_text("content")

    for _ in range(2):
        assert cache.cached("wheels/x.tar", make).read_text() == "content"
    assert len(made) == 1
    assert everything(empty) == ["wheels/x.tar"]


def test_a_fetch_that_was_cut_leaves_nothing_and_is_done_again(empty: Path) -> None:
    def cut(path: Path) -> None:
        path.write_text("half of the cont")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.cached("wheels/x.tar", cut)
    assert everything(empty) == []

    def whole(path: Path) -> None:
        path.write_text("content")

    assert cache.cached("wheels/x.tar", whole).read_text() == "content"


def pack(content: bytes, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have `npm pack` give this content; return its integrity as a lock file has it."""

    def npm(command: list[str], failure: str, directory: str) -> None:
        name, version = command[-1].rsplit("@", 1)
        file = f"{name.lstrip('@').replace('/', '-')}-{version}.tgz"
        (Path(directory) / file).write_bytes(content)

    monkeypatch.setattr(cache, "_run", npm)
    return "sha512-" + base64.b64encode(sha512(content).digest()).decode()


def test_a_package_as_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    integrity = pack(b"right", monkeypatch)
    assert cache.npm_package("@a/b", "1.0.0", integrity).read_bytes() == b"right"


def test_a_package_that_is_another_one_is_not_kept(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = pack(b"right", monkeypatch)
    pack(b"evil", monkeypatch)
    with pytest.raises(DeployError, match=r"@a/b 1\.0\.0 has the hash"):
        cache.npm_package("@a/b", "1.0.0", pinned)
    assert everything(empty) == []


@pytest.mark.parametrize("found", [b"evil", b"", b"righ"])
def test_a_package_in_the_cache_that_is_another_one_by_now_is_fetched_again(
    empty: Path, monkeypatch: pytest.MonkeyPatch, found: bytes
) -> None:
    integrity = pack(b"right", monkeypatch)
    path = cache.npm_package("@a/b", "1.0.0", integrity)
    path.write_bytes(found)
    assert cache.npm_package("@a/b", "1.0.0", integrity).read_bytes() == b"right"


def test_wheels_are_asked_for_by_the_hosts_python_not_by_this_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    monkeypatch.setattr(cache, "_run", lambda command, *_: asked.append(command))
    old = cache.wheels("a==1\n", "x", "3.11.2", "x86_64", also="")
    new = cache.wheels("a==1\n", "x", "3.13.5", "aarch64", also="")
    assert old != new
    [first, second] = asked
    assert {"--require-hashes", "--no-deps", "--only-binary=:all:"} <= {*first}
    assert {"--python-version=3.11", "--abi=cp311", "--platform=manylinux2014_x86_64"} <= {*first}
    assert {"--python-version=3.13", "--abi=cp313", "--platform=manylinux2014_aarch64"} <= {*second}
