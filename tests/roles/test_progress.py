"""The progress of long work: lines of hosts, and of uploads, as a person sees them."""

from __future__ import annotations

import io
import logging
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyinfra.api import Config, Host, Inventory, State, output
from pyinfra.context import ctx_host
from rich.console import Console

from mirrorfleet.cli.live.progress import INTERVAL, MOST, WINDOW, Works
from mirrorfleet.cli.live.screen import Screen
from mirrorfleet.runtime import local, meter
from mirrorfleet.runtime.chunk import Chunk
from mirrorfleet.runtime.commands import VisibleCommand
from mirrorfleet.runtime.meter import Meter
from mirrorfleet.runtime.python import SCRIPTS
from mirrorfleet.runtime.shell import shell
from tests.roles import programs
from tests.roles.machine import Machine


def test_work_has_bytes_and_the_rate_of_the_last_reports() -> None:
    works = Works()
    work = works.take("gpu1", "weights qwen3: 2.00 of 63.00 GB (3%)", 100)
    assert str(work) == "weights qwen3 on gpu1: 2 of 63 GB"
    works.take("gpu1", "weights qwen3: 10.35 of 63.00 GB (16%)", 120)
    works.take("gpu1", "weights qwen3: 12.40 of 63.00 GB (19%)", 125)
    assert works.lines() == ["weights qwen3 on gpu1: 12.4 of 63 GB, 416 MB/s"]
    # A hub that became slow: what was long ago no longer counts.
    works.take("gpu1", "weights qwen3: 12.45 of 63.00 GB (19%)", 125 + WINDOW)
    assert works.lines() == ["weights qwen3 on gpu1: 12.4 of 63 GB, 1.67 MB/s"]


@pytest.mark.parametrize(
    "line", ["Started mirrorfleet-vllm-tiny.service", "the download needs another 0.04 GB", ""]
)
def test_other_lines_are_no_progress(line: str) -> None:
    assert Works().take("gpu1", line, 0) is None


def test_finished_work_and_ended_hosts_have_no_line() -> None:
    works = Works()
    works.take("gpu1", "weights a: 1.00 of 2.00 GB", 0)
    works.take("gpu2", "weights a: 1.00 of 2.00 GB", 0)
    works.take("gpu3", "weights a: 2.00 of 2.00 GB", 0)
    works.ended("gpu1")
    assert works.lines() == ["weights a on gpu2: 1 of 2 GB"]


def test_many_hosts_share_the_last_line() -> None:
    works = Works()
    for number in range(10):
        works.take(f"gpu{number}", "weights a: 0.00 of 50.00 GB", 0)
        works.take(f"gpu{number}", "weights a: 1.00 of 50.00 GB", 10)
    *single, rest = works.lines()
    assert len(single) == MOST - 1
    assert rest == "gpu5, gpu6, gpu7 and 2 more: 5 of 250 GB, 500 MB/s"


def test_appended_lines_are_the_first_one_per_interval_and_the_end() -> None:
    works = Works()
    printed = []
    for now, done in [(0, 0), (5, 1), (INTERVAL, 4), (INTERVAL + 5, 5), (INTERVAL + 9, 5)]:
        work = works.take("gpu1", f"weights a: {done:.2f} of 5.00 GB", now)
        assert work is not None
        if work.take_turn(now):
            printed.append(done)
    assert printed == [0, 4, 5]


@pytest.fixture(name="laptop")
def this_machine() -> Iterator[Host]:
    """Yield this machine as a host, without sudo."""
    inventory = Inventory(([(f"@{local.CONNECTOR}/laptop", {"_sudo": False})], {}))  # type: ignore[no-untyped-call]
    State(inventory, Config())  # type: ignore[no-untyped-call]
    log = logging.getLogger("pyinfra")
    before = (log.handlers, log.propagate, log.level, output._echo, output._format_text)
    yield inventory.get_host("laptop")
    log.handlers, log.propagate, log.level, output._echo, output._format_text = before


def shown(host: Host, *, terminal: bool = False) -> tuple[Screen, io.StringIO]:
    out = io.StringIO()
    screen = Screen(Console(file=out, width=80, force_terminal=terminal, highlight=False))
    screen.begin(host.state)
    return screen, out


def test_a_command_shows_its_progress_and_why_it_failed(laptop: Host) -> None:
    screen, out = shown(laptop)
    text = "echo 'weights coder: 1.00 of 63.00 GB (1%)'; echo 'the hub is gone' >&2; exit 1"
    succeeded, _ = VisibleCommand(text).execute(laptop.state, laptop, {})
    assert not succeeded
    screen.step_ended("laptop", failed=True)
    assert screen.causes == {"laptop": ["the hub is gone"]}
    assert sorted(out.getvalue().splitlines()) == [
        "          weights coder on laptop: 1 of 63 GB",
        "  laptop: the hub is gone",
    ]


def test_warnings_of_a_step_that_succeeds_are_no_causes(laptop: Host) -> None:
    screen, out = shown(laptop)
    VisibleCommand("echo 'only a warning' >&2").execute(laptop.state, laptop, {})
    screen.step_ended("laptop", failed=False)
    screen.step_ended("laptop", failed=True)
    assert screen.causes == {}
    assert out.getvalue() == "  laptop: only a warning\n"


def test_a_terminal_redraws_the_progress(laptop: Host) -> None:
    screen, out = shown(laptop, terminal=True)
    for done in ("1.00", "2.00"):
        VisibleCommand(f"echo 'weights coder: {done} of 63.00 GB (1%)'").execute(
            laptop.state, laptop, {}
        )
    assert screen._status is not None
    drawn = screen._status.renderable
    screen.end()
    assert "weights coder on laptop: 2 of 63 GB" in Console(width=80).render_str(
        str(getattr(drawn, "text", drawn))
    )
    assert "weights coder: 1.00 of" not in out.getvalue(), "no line is appended"


def test_an_upload_shows_its_progress(
    laptop: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "INTERVAL", 0)
    _, out = shown(laptop)
    source = tmp_path / "wheels.tar"
    with source.open("wb") as file:
        file.truncate(30_000_000)
    content = Chunk(source, 0, 30_000_000, Meter("wheels of vllm 0.32.0", 90_000_000, 60_000_000))
    with ctx_host.use(laptop):
        assert laptop.put_file(content, str(tmp_path / "target"), _sudo=False)
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("          wheels of vllm 0.32.0 on laptop: 0.0")
    assert lines[-1].startswith("          wheels of vllm 0.32.0 on laptop: 0.09 of 0.09 GB")
    assert len(lines) < 4, "and a line per interval between them"


UV = """\
#!/bin/sh
[ "$1" = pip ] || exit 0
head -c 3000000 /dev/zero >"$UV_CACHE_DIR"
until [ "$(wc -l <"$ROOT/slept")" -ge 4 ]; do /bin/sleep 0.05; done
"""
"""A stand-in for uv: it unpacks 3 MB, and waits until that was reported."""


def test_an_environment_shows_what_is_unpacked(machine: Machine) -> None:
    machine.add("sleep", 'echo >>"$ROOT/slept"; exec /bin/sleep 0.1')
    work = machine.root / "work"
    work.mkdir()
    (machine.root / "slept").touch()
    with zipfile.ZipFile(work / "uv-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("uv-1.data/scripts/uv", UV)
    with tarfile.open(work / "upload", "w") as archive:
        archive.add(work / "uv-1-py3-none-any.whl", "uv-1-py3-none-any.whl")
    script = shell(
        SCRIPTS / "build_environment.sh",
        environment=str(machine.root / "environment"),
        what="environment vllm 0.32.0",
        expected=2,
    )
    text = f"work={work}; cd {work}; set -eu\nset --\n{script}echo complete; sleep 2"
    path = f"{machine.programs}:/usr/bin:/bin"
    done = programs.run(["sh", "-c", text], "", {"PATH": path, "ROOT": str(machine.root)})
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "environment vllm 0.32.0: 0.00 of 0.00 GB" in lines
    assert lines[-1] == "complete", "nothing reports after the end"
