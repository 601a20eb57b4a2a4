"""observe.sh in the shells and with the programs that other hosts have."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mirrorfleet.runtime.observe import Gpu, HomeFile, Observation, parse, script
from tests.roles.fleets import stand_in
from tests.roles.machine import Machine

SHELLS = {"dash": ["dash"], "bash as sh": ["bash", "--posix"], "busybox": ["busybox", "sh"]}


def questions(root: Path) -> list[tuple[str, ...]]:
    """One of each kind, at least, and things that are not there."""
    there, nowhere = str(root / "a directory"), str(root / "nowhere/at/all")
    return [
        ("user", "ada"),
        ("user", "nobody-of-this-name"),
        ("package", "no-such-package"),
        ("python", "python3"),
        ("gpus", "nvidia-smi"),
        ("disk", there),
        ("disk", nowhere),
        *((kind, path) for kind in ("path", "link", "content") for path in (there, nowhere)),
        ("link", str(root / "link")),
        ("home_file", "ada", ".claude.json"),
        ("home_file", "ada", ".claude/settings.json"),
        ("home_file", "nobody-of-this-name", ".claude.json"),
        ("own_client", "ada"),
        ("unit", "a.service"),
        ("unit", "b.service"),
        ("port", "1"),
        ("port", "2"),
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


def expected(seen: Observation, root: Path) -> None:
    there = str(root / "a directory")
    assert seen.users == {"ada": str(root / "home/ada")}
    assert seen.paths == {there}
    assert seen.links == {str(root / "link"): "a directory"}
    assert seen.home_files == {("ada", ".claude.json"): HomeFile("640", b'{"a": "\t"}')}
    own = str(root / "home/ada/.local/bin/claude")
    assert seen.own_clients == {("ada", ".local/bin/claude"): own}
    assert seen.disks.keys() == {there, str(root / "nowhere/at/all")}
    free = shutil.disk_usage(root).free
    assert all(abs(found - free) < 2**30 for found in seen.disks.values())
    assert (seen.packages, seen.units, seen.listeners, seen.contents) == (frozenset(), {}, {}, {})


@pytest.mark.parametrize("shell", SHELLS.values(), ids=SHELLS.keys())
def test_shells(furnished: Machine, shell: list[str]) -> None:
    if not shutil.which(shell[0]):
        pytest.skip(f"no {shell[0]} on this machine")
    seen = furnished.look(*questions(furnished.root), shell=shell)
    expected(seen, furnished.root)
    assert seen.gpus == (
        Gpu(81559 * 1024**2, "580.65.06", "9.0"),
        Gpu(0, "580.65.06", "12.1"),
    )


def test_where_a_users_link_leads_is_no_answer_of_the_host(furnished: Machine) -> None:
    forged = furnished.root / "home/ada/x\nuser\tmallory\t"
    forged.mkdir()
    stand_in(forged / "claude", "exit 0")
    (furnished.root / "home/ada/.claude/local").mkdir(parents=True)
    (furnished.root / "home/ada/.claude/local/claude").symlink_to(forged / "claude")
    seen = furnished.look(("own_client", "ada"))
    assert seen.own_clients["ada", ".claude/local/claude"].endswith("/home/ada/xusermallory/claude")
    assert seen.users == {}


def test_a_driver_that_does_not_answer_is_no_gpu_and_its_words_are_kept(furnished: Machine) -> None:
    words = "Failed to initialize NVML: Driver/library version mismatch"
    furnished.add("nvidia-smi", f"echo '{words}'; echo 'NVML library version: 570.195'; exit 18")
    seen = furnished.look(("gpus", "nvidia-smi"))
    assert seen.gpus == ()
    assert seen.smi == f"{words} NVML library version: 570.195"


def test_a_gpu_that_has_failed_is_reported_beside_the_others(furnished: Machine) -> None:
    words = "Unable to determine the device handle for GPU1: 0000:0B:00.0: Unknown Error"
    furnished.add("nvidia-smi", f"echo '0, 81559, 580.95.05, 9.0'; echo '{words}'; exit 15")
    seen = furnished.look(("gpus", "nvidia-smi"))
    assert (len(seen.gpus), seen.smi) == (1, words)


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
    assert furnished.look_as_host(("gpus", "nvidia-smi")).nvswitch == joined, device


def test_a_driver_of_before_compute_cap_is_asked_without(furnished: Machine) -> None:
    furnished.add(
        "nvidia-smi",
        """case $* in *compute_cap*) echo 'Field "compute_cap" is not a valid field'; exit 2 ;; esac
echo '0, 16160, 450.80.02'""",
    )
    seen = furnished.look(("gpus", "nvidia-smi"))
    assert (seen.gpus, seen.smi) == ((Gpu(16160 * 1024**2, "450.80.02"),), "")


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
    asked = script([*questions(furnished.root), ("tree", str(furnished.root))])
    # Nothing of this machine's own /usr/sbin, which the script adds for Linux.
    done = subprocess.run(
        [str(programs / "sh"), "-s"],
        input=asked.replace(":/usr/sbin:/sbin", ""),
        env=os.environ | {"PATH": str(programs), "ROOT": str(furnished.root)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    seen = parse(done.stdout.splitlines())
    expected(seen, furnished.root)
    said = (seen.system, seen.release, seen.architecture, seen.cores, seen.memory, seen.python)
    assert said == ("macos", "26.1", "arm64", 8, 16 * 1024**3, "none")
