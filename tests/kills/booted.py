"""A host with systemd, booted once: it goes to and fro between two states, killed each time."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.kills.case import Case
from tests.kills.runner import NotHealed, Result, commands, heal, moments, take, wrong
from tests.kills.steps import Kill
from tests.kills.world import HERE, Failed, Host, Worlds, describe

PLACES = ("opt/mirrorfleet", "var/lib/mirrorfleet", "etc/systemd/system", "tmp", "var/tmp")
"""What is compared: systemd writes elsewhere, too."""

STATE = """\
systemctl show -p Id,ActiveState,SubState,UnitFileState,NeedDaemonReload 'mirrorfleet-*'
pid=$(systemctl show -p MainPID --value mirrorfleet-demo.service)
[ "$pid" = 0 ] || tr '\\0' '\\n' <"/proc/$pid/environ" | grep ^MIRRORFLEET_
nft list ruleset
"""

BOOT = 120
"""Most seconds until systemd has started."""


@dataclass(frozen=True)
class Ways:
    """Two runs that undo each other: ``there`` and ``back``. ``prepare`` is before the first."""

    there: Case
    back: Case
    prepare: Callable[[Host], object] = lambda host: None


@contextmanager
def booted(worlds: Worlds) -> Iterator[Host]:
    """Boot a host; it ends with the block."""
    directory = worlds.new()
    target = worlds.base / "upper/etc/systemd/system/default.target"
    if not target.is_symlink():
        target.symlink_to("/lib/systemd/system/basic.target")
    boot = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "unshare",
        "--mount",
        "sh",
        str(HERE / "boot.sh"),
        str(directory),
    ]
    boot.append(f"{worlds.base / 'upper'}:/")
    console = directory / "console"
    with _cgroup(worlds) as enter, console.open("wb") as output:
        process = subprocess.Popen(
            [*enter, *boot], stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            yield Host(directory, _first(process.pid, console))
        finally:
            process.kill()
            process.wait()


@contextmanager
def _cgroup(worlds: Worlds) -> Iterator[list[str]]:
    """Make a cgroup for a host, and yield the words before the command that runs in it."""
    if Path("/run/systemd/system").is_dir():
        yield ["systemd-run", "--quiet", "--scope", "--property=Delegate=yes"]
        return
    hierarchy = worlds.directory / "cgroup"
    if not hierarchy.is_dir():
        hierarchy.mkdir()
        subprocess.run(["mount", "-t", "cgroup2", "cgroup2", str(hierarchy)], check=True)
    group = hierarchy / f"mirrorfleet-kills-{os.getpid()}"
    group.mkdir()
    try:
        yield ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(group)]
    finally:
        (group / "cgroup.kill").write_text("1")
        while "populated 1" in (group / "cgroup.events").read_text():
            time.sleep(0.05)
        for path, _, _ in os.walk(group, topdown=False):
            Path(path).rmdir()


def _first(nspawn: int, console: Path) -> int:
    """Return the host's first process once its systemd answers."""
    end = time.monotonic() + BOOT
    while time.monotonic() < end:
        children = Path(f"/proc/{nspawn}/task/{nspawn}/children")
        for child in children.read_text().split() if children.exists() else ():
            enter = ["nsenter", f"--target={child}", "--mount", "--root", "--wdns=/"]
            ask = [*enter, "systemctl", "is-active", "--quiet", "basic.target"]
            if not subprocess.run(ask, capture_output=True, check=False).returncode:
                return int(child)
        time.sleep(0.2)
    raise RuntimeError(f"systemd does not start: {console.read_text('utf-8', 'replace')[-2000:]}")


def _seen(host: Host) -> dict[str, str]:
    """Describe the files of all places, what runs, and the firewall.

    Without empty directories: that of a removed service can stay.
    """
    found = {
        str(path.relative_to(host.root)): describe(path)
        for place in PLACES
        for path in sorted((host.root / place).rglob("*"))
        if not path.name.startswith("systemd-private-")
        and not (path.is_dir() and not path.is_symlink() and not any(path.iterdir()))
    }
    state = host.call("sh", "-c", STATE)
    return {**found, "state": state}


def planned(
    ways: Ways, steps: Sequence[int], kills: int, chance: random.Random
) -> Iterator[tuple[Case, Kill]]:
    """Yield each way in turn with a kill; a way without calls, as back from a failure, has none."""
    there, back = steps
    backwards = kills // 2 if back else 0
    on_the_way = moments(kills - backwards, there, chance)
    for kill in moments(backwards, back, chance) if backwards else ():
        yield ways.there, next(on_the_way)
        yield ways.back, kill
    for kill in on_the_way:
        yield ways.there, kill


def run(name: str, ways: Ways, worlds: Worlds, kills: int, chance: random.Random) -> Result:
    """Go ``kills`` times to the other state, each time with a kill and a next run."""
    result, began = Result(name), time.monotonic()
    with booted(worlds) as host:
        ways.prepare(host)
        heal(ways.there, host)
        heal(ways.back, host)
        steps = [take(ways.there, host)]
        desired = {id(ways.there): _seen(host)}
        steps.append(take(ways.back, host))
        desired[id(ways.back)] = _seen(host)
        result.steps = sum(steps)
        for way, kill in planned(ways, steps, kills, chance):
            result.kills += 1
            try:
                take(way, host, kill)
                heal(way, host)
                if not way.fails and (left := [*commands(way, host)]):
                    raise NotHealed(f"the run after the next one has {len(left)} commands")
                if found := wrong(desired[id(way)], _seen(host)):
                    raise NotHealed(found)
            except (NotHealed, Failed) as error:
                result.failures.append(f"{kill}, {way.name}: {error}")
    result.seconds = time.monotonic() - began
    return result
