"""The shell functions of facts in the shells and with the programs that other hosts have."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet.roles.claude.facts import OwnClients
from mirrorfleet.runtime.facts import (
    Content,
    Disk,
    Exists,
    Fact,
    Gpu,
    GpuReport,
    Gpus,
    Link,
    Listening,
    Package,
    Tree,
    Unit,
    User,
)
from mirrorfleet.runtime.facts.homes import HomeFile, HomeFileState
from mirrorfleet.runtime.facts.python import Python
from mirrorfleet.runtime.observe import Machine as Found
from mirrorfleet.runtime.observe import Observation, parse, script
from tests.roles.fleets import stand_in
from tests.roles.machine import Machine

SHELLS = {"dash": ["dash"], "bash as sh": ["bash", "--posix"], "busybox": ["busybox", "sh"]}


def facts(root: Path) -> list[Fact[Any]]:
    """One of each kind, at least, and things that are not there."""
    there, nowhere = str(root / "a directory"), str(root / "nowhere/at/all")
    return [
        User("ada"),
        User("nobody-of-this-name"),
        Package("no-such-package"),
        Python(),
        Gpus(),
        Disk(there),
        Disk(nowhere),
        *(kind(path) for kind in (Exists, Link, Content) for path in (there, nowhere)),
        Link(str(root / "link")),
        HomeFile("ada", ".claude.json"),
        HomeFile("ada", ".claude/settings.json"),
        HomeFile("nobody-of-this-name", ".claude.json"),
        OwnClients("ada"),
        Unit("a.service"),
        Unit("b.service"),
        Listening(1),
        Listening(2),
    ]


@pytest.fixture
def furnished(machine: Machine) -> Machine:
    home = machine.root / "home/ada"
    home.mkdir(parents=True)
    (home / ".claude.json").write_text('{"a": "\t"}')
    (home / ".claude.json").chmod(0o640)
    (machine.root / "a directory").mkdir()
    (home / ".local/bin").mkdir(parents=True)
    stand_in(home / ".local/bin/claude", "exit 0")
    (machine.root / "link").symlink_to("a directory")
    machine.add("systemctl", "exit 1")
    machine.add("ss", "exit 1")
    machine.add("nvidia-smi", "echo '0, 81559, 580.65.06, 9.0'; echo '1, [N/A], 580.65.06, 12.1'")
    return machine


def expected(observed: Observation, root: Path) -> None:
    there = str(root / "a directory")
    own = str(root / "home/ada/.local/bin/claude")
    elsewhere = (Python, Gpus, Disk)
    found = {
        fact: value
        for fact, value in observed.values.items()
        if value != fact.value(()) and not isinstance(fact, elsewhere)
    }
    assert found == {
        User("ada"): str(root / "home/ada"),
        Exists(there): True,
        Link(str(root / "link")): "a directory",
        HomeFile("ada", ".claude.json"): HomeFileState("640", b'{"a": "\t"}'),
        OwnClients("ada"): {".local/bin/claude": own},
    }
    free = shutil.disk_usage(root).free
    for path in (there, str(root / "nowhere/at/all")):
        assert abs((observed[Disk(path)] or 0) - free) < 2**30


@pytest.mark.parametrize("shell", SHELLS.values(), ids=SHELLS.keys())
def test_shells(furnished: Machine, shell: list[str]) -> None:
    if not shutil.which(shell[0]):
        pytest.skip(f"no {shell[0]} on this machine")
    observed = furnished.look(*facts(furnished.root), shell=shell)
    expected(observed, furnished.root)
    assert observed[Gpus()].gpus == (
        Gpu(81559 * 1024**2, "580.65.06", "9.0"),
        Gpu(0, "580.65.06", "12.1"),
    )


def test_where_a_users_link_leads_is_no_answer_of_the_host(furnished: Machine) -> None:
    forged = furnished.root / "home/ada/x\nuser\tmallory\t"
    forged.mkdir()
    stand_in(forged / "claude", "exit 0")
    (furnished.root / "home/ada/.claude/local").mkdir(parents=True)
    (furnished.root / "home/ada/.claude/local/claude").symlink_to(forged / "claude")
    observed = furnished.look(OwnClients("ada"), User("mallory"))
    found = observed[OwnClients("ada")]
    assert found[".claude/local/claude"].endswith("/home/ada/xusermallory/claude")
    assert observed[User("mallory")] is None


def test_a_driver_that_does_not_answer_is_no_gpu_and_its_words_are_kept(furnished: Machine) -> None:
    words = "Failed to initialize NVML: Driver/library version mismatch"
    furnished.add("nvidia-smi", f"echo '{words}'; echo 'NVML library version: 570.195'; exit 18")
    observed = furnished.look(Gpus())
    assert observed[Gpus()] == GpuReport(message=f"{words} NVML library version: 570.195")


def test_a_gpu_that_has_failed_is_reported_beside_the_others(furnished: Machine) -> None:
    words = "Unable to determine the device handle for GPU1: 0000:0B:00.0: Unknown Error"
    furnished.add("nvidia-smi", f"echo '0, 81559, 580.95.05, 9.0'; echo '{words}'; exit 15")
    observed = furnished.look(Gpus())
    assert (len(observed[Gpus()].gpus), observed[Gpus()].message) == (1, words)


@pytest.mark.parametrize(
    ("device", "kind", "vendor", "joined"),
    [
        ("an NVSwitch", "0x068000", "0x10de", True),
        ("a GPU", "0x030200", "0x10de", False),
        ("a bridge of another vendor", "0x068000", "0x8086", False),
    ],
)
def test_gpus_that_are_joined_by_nvswitch(
    furnished: Machine, device: str, kind: str, vendor: str, joined: bool
) -> None:
    directory = furnished.at("/sys/bus/pci/devices/0000:87:00.0")
    directory.mkdir()
    (directory / "class").write_text(f"{kind}\n")
    (directory / "vendor").write_text(f"{vendor}\n")
    assert furnished.look_as_host(Gpus())[Gpus()].nvswitch == joined, device


def test_a_driver_of_before_compute_cap_is_asked_without(furnished: Machine) -> None:
    furnished.add(
        "nvidia-smi",
        """case $* in *compute_cap*) echo 'Field "compute_cap" is not a valid field'; exit 2 ;; esac
echo '0, 16160, 450.80.02'""",
    )
    observed = furnished.look(Gpus())
    assert observed[Gpus()] == GpuReport((Gpu(16160 * 1024**2, "450.80.02"),))


# Stand-ins for macOS's programs: they take what those take, and refuse what only GNU's take.
MACOS = {
    "uname": 'echo Darwin arm64; [ "$1" = -sm ]',
    "sw_vers": 'echo 26.1; [ "$1" = -productVersion ]',
    "sysctl": 'echo 17179869184; [ "$*" = "-n hw.memsize" ]',
    "getconf": 'echo 8; [ "$1" = _NPROCESSORS_ONLN ]',
    "id": """\
[ "$1" = -P ] && [ -d "$ROOT/home/$2" ] || { echo "id: $2: no such user" >&2; exit 1; }
echo "$2:********:501:20::0:0:Ada Lovelace:$ROOT/home/$2:/bin/zsh"
""",
    "stat": """\
[ "$1 $2 $3" = '-L -f %Lp:%z' ] || { echo 'stat: illegal option' >&2; exit 1; }
exec real-stat -L -c %a:%s "$4"
""",
    "sudo": '[ "$1 $2 $4" = "-n -u --" ] || exit 1; shift 4; exec "$@"',
    "df": """\
[ "$1" = -Pk ] || exit 1
echo 'Filesystem 1024-blocks Used Available Capacity Mounted on'
real-df -Pk "$2" | awk 'NR == 2 { print "map auto_home", $2, $3, $4, $5, "/System/Volumes/Data" }'
""",
    "find": "echo 'find: -printf: unknown primary or operator' >&2; exit 1",
}
AS_EVERYWHERE = ("awk", "base64", "head", "readlink", "sed", "sh", "tr")


def test_macos(furnished: Machine, tmp_path: Path) -> None:
    programs = tmp_path / "macos"
    programs.mkdir()
    for name, text in MACOS.items():
        stand_in(programs / name, text)
    real = {name: name for name in AS_EVERYWHERE} | {"real-stat": "stat", "real-df": "df"}
    for name, program in real.items():
        (programs / name).symlink_to(shutil.which(program) or pytest.fail(f"no {program}"))
    asked = [*facts(furnished.root), Tree(str(furnished.root))]
    # Nothing of this machine's own /usr/sbin, which the script adds for Linux.
    done = subprocess.run(
        [str(programs / "sh"), "-s"],
        input=script(asked).replace(":/usr/sbin:/sbin", ""),
        env=os.environ | {"PATH": str(programs), "ROOT": str(furnished.root)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    observed = parse(asked, done.stdout.splitlines())
    expected(observed, furnished.root)
    assert observed[Python()] is None
    assert observed.machine == Found("macos", "26.1", "arm64", 8, 16 * 1024**3)
