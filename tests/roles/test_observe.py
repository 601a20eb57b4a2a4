"""The real observe.sh on this machine, and what is understood of its answers."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from threading import Thread

import pytest

from mirrorfleet.runtime.observe import HomeFile, Observation, Unit, parse
from tests.roles.machine import Machine


def test_the_machine_itself(machine: Machine) -> None:
    seen = machine.look()
    assert seen.architecture == platform.machine()
    assert seen.cores == os.cpu_count()
    assert seen.memory == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert (seen.system, seen.release) != ("unknown", "unknown")


def test_what_is_absent_is_not_in_the_answer(machine: Machine) -> None:
    machine.add("systemctl", "exit 1")
    nowhere = str(machine.root / "nowhere")
    seen = machine.look(
        ("user", "nobody-of-this-name"),
        ("package", "no-such-package"),
        *((kind, nowhere) for kind in ("path", "link", "tree", "content")),
        ("gpus", "no-such-nvidia-smi"),
        ("python", "no-such-python"),
        ("home_file", "nobody-of-this-name", ".claude.json"),
    )
    nothing = (seen.users, seen.packages, seen.paths, seen.links, seen.files, seen.contents)
    assert not any((*nothing, seen.home_files, seen.gpus))
    assert seen.python == "none"


def test_paths_files_and_links(machine: Machine) -> None:
    file = machine.root / "a file's name"
    file.write_text("content")
    file.chmod(0o640)
    link = machine.root / "link"
    link.symlink_to("generations/abc")
    seen = machine.look(("path", str(file)), ("tree", str(file)), ("link", str(link)))
    digest = sha256(b"content").hexdigest()
    assert seen.paths == {str(file)}
    assert seen.links == {str(link): "generations/abc"}
    mode, owner, found = seen.files[str(file)].split(" ")
    assert (mode, found) == ("640", digest)
    assert owner in (f"{file.owner()}:{file.group()}", "root:root")


def test_an_environment_of_another_python_is_as_good_as_none(machine: Machine) -> None:
    machine.add("its-python", "echo Python 3.13.5")
    for name, minor, files in (
        ("right", "3.13", [".complete"]),
        ("older", "3.11", [".complete"]),
        ("torso", "3.13", []),
    ):
        (machine.root / name / "lib" / f"python{minor}").mkdir(parents=True)
        for file in files:
            (machine.root / name / file).touch()
    asked = [("environment", str(machine.root / name)) for name in ("right", "older", "torso")]
    seen = machine.look(("python", "its-python"), *asked)
    assert seen.environments == {str(machine.root / "right"): ""}
    assert machine.look(*asked).environments == {}  # a host without python3


def test_an_environment_that_another_hand_has_changed(machine: Machine) -> None:
    machine.add("its-python", "echo Python 3.13.5")
    base = machine.root / "1.2.3-digest"
    again = machine.root / "1.2.3-digest-2"
    for directory in (base, again):
        (directory / "lib/python3.13").mkdir(parents=True)
        (directory / "lib/python3.13/module.py").write_text("same")
        (directory / ".complete").touch()
    module = base / "lib/python3.13/module.py"
    before = module.stat()
    time.sleep(0.02)  # the clock of files ticks a hundred times a second
    module.write_text("evil")
    os.utime(module, ns=(before.st_atime_ns, before.st_mtime_ns))
    seen = machine.look(("python", "its-python"), ("environment", str(base)))
    assert seen.environments == {str(base): str(module), str(again): ""}


def test_the_text_of_a_file_and_the_answer_of_a_server(machine: Machine) -> None:
    (machine.root / "text").write_bytes(b"a\tb\n\xff")
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/api/tags"
        answering = Thread(target=answer_once, args=(server, b'{"models": []}'))
        answering.start()
        seen = machine.look(("content", str(machine.root / "text")), ("answer", url))
        answering.join()
    assert seen.contents == {str(machine.root / "text"): b"a\tb\n\xff"}
    assert seen.answers == {url: b'{"models": []}'}
    gone = machine.look(("content", str(machine.root / "nowhere")), ("answer", url))
    assert (gone.contents, gone.answers) == ({}, {})


def answer_once(server: socket.socket, content: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content
        )


def test_every_generation_of_a_service(machine: Machine) -> None:
    for name in ("111", "222"):
        (machine.root / "generations" / name).mkdir(parents=True)
    (machine.root / "generations/222/file").touch()
    (machine.root / "generations/222/a name\nthat nobody gives").touch()
    seen = machine.look(("tree", str(machine.root / "generations")))
    inside = {path.removeprefix(f"{machine.root}/"): said for path, said in seen.files.items()}
    assert {path: said.split()[-1] for path, said in inside.items()} == {
        "generations": "directory",
        "generations/111": "directory",
        "generations/222": "directory",
        "generations/222/file": sha256(b"").hexdigest(),
    }


def test_a_file_in_a_home(machine: Machine) -> None:
    home = machine.root / "home/ada"
    (home / "dotfiles").mkdir(parents=True)
    content = b'{"tab": "\t", "line": "\n", "\xc3\xbc": 1}' * 200
    (home / "dotfiles/claude.json").write_bytes(content)
    (home / "dotfiles/claude.json").chmod(0o600)
    (home / ".claude").mkdir()
    (home / ".claude/settings.json").symlink_to("../dotfiles/claude.json")
    seen = machine.look(("home_file", "ada", ".claude/settings.json"), ("user", "ada"))
    assert seen.home_files == {("ada", ".claude/settings.json"): HomeFile("600", content)}
    assert seen.users == {"ada": str(home)}


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="not a Debian")
def test_packages(machine: Machine) -> None:
    assert machine.look(("package", "dpkg"), ("package", "no-such")).packages == {"dpkg"}


# A stand-in for systemd: one unit runs as the process in $ROOT/pid, one was disabled, and no other
# is known. Its answers are in an order of their own.
SYSTEMCTL = """\
[ "$1 $2" = 'show -p' ] || exit 1
shift 3
for unit do
    case $unit in
        runs.service)
            said="$(cat "$ROOT/pid") active enabled yes" drop_ins='/etc/a.conf /etc/b.conf' ;;
        disabled.service) said='0 inactive disabled no' drop_ins= ;;
        *) said='0 inactive - no' drop_ins= ;;
    esac
    set -- $said
    [ -z "${again-}" ] || echo
    again=yes
    printf 'MainPID=%s\\nId=%s\\nActiveState=%s\\n' "$1" "$unit" "$2"
    printf 'DropInPaths=%s\\nUnitFileState=%s\\nNeedDaemonReload=%s\\n' "$drop_ins" "${3#-}" "$4"
done
"""


def test_a_unit_tells_the_generation_that_its_process_was_started_with(machine: Machine) -> None:
    environment = os.environ | {"MIRRORFLEET_GENERATION": "3fa2c81b90de", "LINES": "1\n2"}
    process = subprocess.Popen(["sleep", "60"], env=environment)
    try:
        (machine.root / "pid").write_text(str(process.pid))
        machine.add("systemctl", SYSTEMCTL)
        names = ("runs.service", "disabled.service", "unknown.service")
        seen = machine.look(*(("unit", name) for name in names))
    finally:
        process.kill()
        process.wait()
    assert seen.units == {
        "runs.service": Unit("active", "enabled", "3fa2c81b90de", True, "/etc/a.conf /etc/b.conf"),
        "disabled.service": Unit(enabled="disabled"),
        "unknown.service": Unit(),
    }


@pytest.mark.skipif(not shutil.which("ss"), reason="needs iproute2")
def test_who_listens_on_a_port(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        taken = machine.look(("port", str(port)))
    free = machine.look(("port", str(port)))
    assert free.listeners == {}
    [owner] = taken.listeners[port]
    # Where the tests run in a unit of their own, that is said; else the command.
    assert owner.endswith(".service") or owner in Path(sys.executable).resolve().name


def test_an_answer_after_a_login_shell_has_greeted() -> None:
    machine = "machine\tdebian\t12\tx86_64\t4\t1024"
    seen = parse(["Welcome!", "", machine, "path\t/x"])
    wanted = Observation("debian", "12", "x86_64", 4, 1024**2, paths=frozenset({"/x"}))
    assert vars(seen) == vars(wanted)


def test_an_answer_that_is_none_of_ours() -> None:
    with pytest.raises(ValueError, match="hello"):
        parse(["machine\tdebian\t12\tx86_64\t4\t1024", "hello"])


def test_the_addresses_that_the_host_finds_for_a_name(machine: Machine) -> None:
    answer = r"[ $2 = gw ] && printf '127.0.1.1 STREAM gw\n127.0.1.1 DGRAM\n10.0.2.11 STREAM\n'"
    machine.add("getent", answer)
    seen = machine.look(("name", "gw"), ("name", "nobody"))
    assert seen.names == {"gw": "127.0.1.1 10.0.2.11", "nobody": ""}
