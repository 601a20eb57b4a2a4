"""An archive on standard input is unpacked whole, or the script fails."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mirrorfleet.runtime.payload import Member, pack
from mirrorfleet.runtime.shell import code

UNPACK = Path(__file__).parents[2] / "mirrorfleet/runtime/scripts/unpack.sh"
FILES = {f"{number}.sql": f"-- {number}\n".encode() * 4000 for number in range(60)}


def unpack(text: str, place: Path) -> int:
    script = f"{code(UNPACK)}\nset -eu\nunpack\n"
    done = subprocess.run(
        ["sh", "-c", script], input=text.encode(), cwd=place, capture_output=True, check=False
    )
    return done.returncode


@pytest.fixture(name="archive")
def packed() -> str:
    return pack(Member(name, content, "0600", "root", "root") for name, content in FILES.items())


def test_a_whole_archive(archive: str, tmp_path: Path) -> None:
    assert unpack(archive, tmp_path) == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == FILES


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_an_archive_that_is_cut_fails(part: float, archive: str, tmp_path: Path) -> None:
    assert unpack(archive[: int(len(archive) * part)], tmp_path) != 0
    assert not [path for path in tmp_path.iterdir() if path.name != ".archive"]
