"""The shell functions of facts with the shells and programs of other systems."""

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
    """Return at least one fact of each kind, of existing and missing things."""
    there, nowhere = str(root / "a directory"), str(root / "nowhere/at/all")
    return [
        User("ada"),
        User("no-such-user"),
        Package("no-such-package"),
        Python(),
        Gpus(),
        Disk(there),
        Disk(nowhere),
        *(kind(path) for kind in (Exists, Link, Content) for path in (there, nowhere)),
        Link(str(root / "link")),
        HomeFile("ada", ".claude.json"),
        HomeFile("ada", ".claude/settings.json"),
        HomeFile("no-such-user", ".claude.json"),
        OwnClients("ada"),
        Unit("a.service"),
        Unit("b.service"),
        Listening(1),
        Listening(2),
    ]


@pytest.fixture
def prepared_host(machine: Machine) -> Machine:
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
    machine.add(
        "nvidia-smi",
        "echo '0, 81559, 580.65.06, GPU-a, 9.0'; echo '1, [N/A], 580.65.06, GPU-b, 12.1'",
    )
    return machine


def assert_expected(observed: Observation, root: Path) -> None:
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
def test_facts_are_the_same_in_every_shell(prepared_host: Machine, shell: list[str]) -> None:
    if not shutil.which(shell[0]):
        pytest.skip(f"no {shell[0]} on this machine")
    observed = prepared_host.observe(*facts(prepared_host.root), shell=shell)
    assert_expected(observed, prepared_host.root)
    assert observed[Gpus()].gpus == (
        Gpu(81559 * 1024**2, "580.65.06", "9.0", "GPU-a"),
        Gpu(0, "580.65.06", "12.1", "GPU-b"),
    )


def test_the_target_of_a_users_link_cannot_forge_answers_of_the_host(
    prepared_host: Machine,
) -> None:
    forged = prepared_host.root / "home/ada/x\nuser\tmallory\t"
    forged.mkdir()
    stand_in(forged / "claude", "exit 0")
    (prepared_host.root / "home/ada/.claude/local").mkdir(parents=True)
    (prepared_host.root / "home/ada/.claude/local/claude").symlink_to(forged / "claude")
    observed = prepared_host.observe(OwnClients("ada"), User("mallory"))
    found = observed[OwnClients("ada")]
    assert found[".claude/local/claude"].endswith("/home/ada/xusermallory/claude")
    assert observed[User("mallory")] is None


def test_a_failed_driver_is_no_gpu_and_its_message_is_kept(prepared_host: Machine) -> None:
    words = "Failed to initialize NVML: Driver/library version mismatch"
    prepared_host.add(
        "nvidia-smi", f"echo '{words}'; echo 'NVML library version: 570.195'; exit 18"
    )
    observed = prepared_host.observe(Gpus())
    assert observed[Gpus()] == GpuReport(message=f"{words} NVML library version: 570.195")


def test_a_gpu_that_has_failed_is_reported_beside_the_others(prepared_host: Machine) -> None:
    words = "Unable to determine the device handle for GPU1: 0000:0B:00.0: Unknown Error"
    prepared_host.add(
        "nvidia-smi", f"echo '0, 81559, 580.95.05, GPU-a, 9.0'; echo '{words}'; exit 15"
    )
    observed = prepared_host.observe(Gpus())
    assert (len(observed[Gpus()].gpus), observed[Gpus()].message) == (1, words)


@pytest.mark.parametrize(
    ("device", "kind", "vendor", "joined"),
    [
        ("an NVSwitch", "0x068000", "0x10de", True),
        ("a GPU", "0x030200", "0x10de", False),
        ("a bridge of another vendor", "0x068000", "0x8086", False),
    ],
)
def test_an_nvswitch_is_recognized_by_its_pci_class_and_vendor(
    prepared_host: Machine, device: str, kind: str, vendor: str, joined: bool
) -> None:
    directory = prepared_host.at("/sys/bus/pci/devices/0000:87:00.0")
    directory.mkdir()
    (directory / "class").write_text(f"{kind}\n")
    (directory / "vendor").write_text(f"{vendor}\n")
    assert prepared_host.observe_as_host(Gpus())[Gpus()].nvswitch == joined, device


def test_a_driver_without_compute_cap_is_queried_without_it(prepared_host: Machine) -> None:
    prepared_host.add(
        "nvidia-smi",
        """case $* in *compute_cap*) echo 'Field "compute_cap" is not a valid field'; exit 2 ;; esac
echo '0, 16160, 450.80.02'""",
    )
    observed = prepared_host.observe(Gpus())
    assert observed[Gpus()] == GpuReport((Gpu(16160 * 1024**2, "450.80.02"),))


# Stand-ins for macOS's programs: they accept macOS's options, and reject options of GNU only.
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


def test_facts_are_read_on_macos(prepared_host: Machine, tmp_path: Path) -> None:
    programs = tmp_path / "macos"
    programs.mkdir()
    for name, text in MACOS.items():
        stand_in(programs / name, text)
    real = {name: name for name in AS_EVERYWHERE} | {"real-stat": "stat", "real-df": "df"}
    for name, program in real.items():
        (programs / name).symlink_to(shutil.which(program) or pytest.fail(f"no {program}"))
    asked = [*facts(prepared_host.root), Tree(str(prepared_host.root))]
    # Without /usr/sbin of this machine, which the script adds for Linux.
    done = subprocess.run(
        [str(programs / "sh"), "-s"],
        input=script(asked).replace(":/usr/sbin:/sbin", ""),
        env=os.environ | {"PATH": str(programs), "ROOT": str(prepared_host.root)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    observed = parse(asked, done.stdout.splitlines())
    assert_expected(observed, prepared_host.root)
    assert observed[Python()] is None
    assert observed.machine == Found("macos", "26.1", "arm64", 8, 16 * 1024**3)
