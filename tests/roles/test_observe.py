"""The real shell functions of facts on this machine, and the parsers of their output."""

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

from mirrorfleet.roles.system.facts import Addresses
from mirrorfleet.runtime.facts import (
    Answer,
    Content,
    Disk,
    Exists,
    File,
    Gpus,
    Link,
    Listening,
    Package,
    Tree,
    Unit,
    UnitState,
    User,
)
from mirrorfleet.runtime.facts.homes import HomeFile, HomeFileState
from mirrorfleet.runtime.facts.python import Environments, Python
from mirrorfleet.runtime.observe import Machine, UnknownFact, assumed, parse, script
from tests.roles.machine import Machine as Host


def test_architecture_cores_memory_and_system_are_read(machine: Host) -> None:
    observed = machine.observe()
    assert observed.machine.architecture == platform.machine()
    assert observed.machine.cores == os.cpu_count()
    assert observed.machine.memory == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert (observed.machine.system, observed.machine.release) != ("unknown", "unknown")


def test_absent_things_have_empty_values(machine: Host) -> None:
    machine.add("systemctl", "exit 1")
    nowhere = str(machine.root / "nowhere")
    observed = machine.observe(
        User("no-such-user"),
        Package("no-such-package"),
        *(kind(nowhere) for kind in (Exists, Link, Tree, File, Content)),
        Unit("no-such.service"),
        Gpus("no-such-nvidia-smi"),
        Python("no-such-python"),
        HomeFile("no-such-user", ".claude.json"),
    )
    assert observed.values == {fact: fact.value(()) for fact in observed.values}


def test_paths_files_and_links_are_read(machine: Host) -> None:
    file = machine.root / "a file's name"
    file.write_text("content")
    file.chmod(0o640)
    link = machine.root / "link"
    link.symlink_to("generations/abc")
    observed = machine.observe(Exists(str(file)), File(str(file)), Link(str(link)))
    digest = sha256(b"content").hexdigest()
    assert observed[Exists(str(file))]
    assert observed[Link(str(link))] == "generations/abc"
    mode, owner, found = (observed[File(str(file))] or "").split(" ")
    assert (mode, found) == ("640", digest)
    assert owner in (f"{file.owner()}:{file.group()}", "root:root")


def test_environments_of_another_python_or_without_a_mark_do_not_count(machine: Host) -> None:
    machine.add("its-python", "echo Python 3.13.5")
    for name, minor, files in (
        ("right", "3.13", [".complete"]),
        ("older", "3.11", [".complete"]),
        ("torso", "3.13", []),
    ):
        (machine.root / name / "lib" / f"python{minor}").mkdir(parents=True)
        for file in files:
            (machine.root / name / file).touch()
    right, older, torso = (
        Environments(str(machine.root / name)) for name in ("right", "older", "torso")
    )
    observed = machine.observe(Python("its-python"), right, older, torso)
    assert observed[Python("its-python")] == "3.13.5"
    assert observed[right] == {right.directory: ""}
    assert (observed[older], observed[torso]) == ({}, {})
    assert machine.observe(right)[right] == {}, "on a host without python3"


def test_a_changed_file_of_an_environment_is_found(machine: Host) -> None:
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
    observed = machine.observe(Python("its-python"), Environments(str(base)))
    assert observed[Environments(str(base))] == {str(base): str(module), str(again): ""}


def test_the_content_of_a_file_and_the_answer_of_a_server_are_read(machine: Host) -> None:
    (machine.root / "text").write_bytes(b"a\tb\n\xff")
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/api/tags"
        server.settimeout(30)
        answering = Thread(target=answer_once, args=(server, b'{"models": []}'), daemon=True)
        answering.start()
        observed = machine.observe(Content(str(machine.root / "text")), Answer(url))
        answering.join(30)
    assert observed[Content(str(machine.root / "text"))] == b"a\tb\n\xff"
    assert observed[Answer(url)] == b'{"models": []}'
    assert machine.observe(Answer(url))[Answer(url)] is None


def answer_once(server: socket.socket, content: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.settimeout(30)
        connection.recv(4096)
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content
        )


def test_all_generations_of_a_service_are_read(machine: Host) -> None:
    for name in ("111", "222"):
        (machine.root / "generations" / name).mkdir(parents=True)
    (machine.root / "generations/222/file").touch()
    (machine.root / "generations/222/a name\nwith a line break").touch()
    tree = Tree(str(machine.root / "generations"))
    found = machine.observe(tree)[tree]
    assert {path: description.split()[-1] for path, description in found.items()} == {
        "": "directory",
        "111": "directory",
        "222": "directory",
        "222/file": sha256(b"").hexdigest(),
    }


def test_a_linked_file_in_a_home_is_read(machine: Host) -> None:
    home = machine.root / "home/ada"
    (home / "dotfiles").mkdir(parents=True)
    content = b'{"tab": "\t", "line": "\n", "\xc3\xbc": 1}' * 200
    (home / "dotfiles/claude.json").write_bytes(content)
    (home / "dotfiles/claude.json").chmod(0o600)
    (home / ".claude").mkdir()
    (home / ".claude/settings.json").symlink_to("../dotfiles/claude.json")
    observed = machine.observe(HomeFile("ada", ".claude/settings.json"), User("ada"))
    assert observed[HomeFile("ada", ".claude/settings.json")] == HomeFileState("600", content)
    assert observed[User("ada")] == str(home)


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="not a Debian")
def test_installed_packages_are_recognized(machine: Host) -> None:
    observed = machine.observe(Package("dpkg"), Package("no-such"))
    assert observed.values == {Package("dpkg"): True, Package("no-such"): False}


# A stand-in for systemctl: one unit runs as the process in $ROOT/pid, one is disabled, and others
# are unknown. It prints the properties in its own order.
SYSTEMCTL = """\
[ "$1 $2" = 'show -p' ] || exit 1
shift 3
for unit do
    case $unit in
        runs.service)
            state="$(cat "$ROOT/pid") active enabled yes" drop_ins='/etc/a.conf /etc/b.conf' ;;
        disabled.service) state='0 inactive disabled no' drop_ins= ;;
        *) state='0 inactive - no' drop_ins= ;;
    esac
    set -- $state
    [ -z "${again-}" ] || echo
    again=yes
    printf 'MainPID=%s\\nId=%s\\nActiveState=%s\\n' "$1" "$unit" "$2"
    printf 'DropInPaths=%s\\nUnitFileState=%s\\nNeedDaemonReload=%s\\n' "$drop_ins" "${3#-}" "$4"
done
"""


def test_the_generation_of_a_unit_is_that_of_its_running_process(machine: Host) -> None:
    environment = os.environ | {"MIRRORFLEET_GENERATION": "3fa2c81b90de", "LINES": "1\n2"}
    process = subprocess.Popen(["sleep", "60"], env=environment)
    try:
        (machine.root / "pid").write_text(str(process.pid))
        machine.add("systemctl", SYSTEMCTL)
        names = ("runs.service", "disabled.service", "unknown.service")
        observed = machine.observe(*(Unit(name) for name in names))
    finally:
        process.kill()
        process.wait()
    drop_ins = "/etc/a.conf /etc/b.conf"
    assert observed.values == {
        Unit("runs.service"): UnitState("active", "enabled", "3fa2c81b90de", True, drop_ins),
        Unit("disabled.service"): UnitState(enabled="disabled"),
        Unit("unknown.service"): UnitState(),
    }


@pytest.mark.skipif(not shutil.which("ss"), reason="needs iproute2")
def test_the_listener_of_a_port_is_reported(machine: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        taken = machine.observe(Listening(port))
    free = machine.observe(Listening(port))
    assert free[Listening(port)] == frozenset()
    [owner] = taken[Listening(port)]
    # The owner is the unit if the tests run in one, else the command.
    assert owner.endswith(".service") or owner in Path(sys.executable).resolve().name


MACHINE = "machine\tdebian\t12\tx86_64\t4\t1024"


def test_the_greeting_of_a_login_shell_is_skipped() -> None:
    observed = parse([Exists("/x")], ["Welcome!", "", MACHINE, "path\t/x"])
    assert observed.machine == Machine("debian", "12", "x86_64", 4, 1024**2)
    assert observed.values == {Exists("/x"): True}


def test_an_unknown_line_is_an_error() -> None:
    with pytest.raises(ValueError, match="hello"):
        parse([], [MACHINE, "hello"])


def test_an_answer_without_a_machine_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        parse([Exists("/x")], ["path\t/x"])


def test_an_invalid_line_is_reported_with_its_fact() -> None:
    with pytest.raises(ValueError, match=r"Disk\(path='/x'\).*'much'"):
        parse([Disk("/x")], [MACHINE, "disk\t/x\tmuch"])


def test_lines_that_no_fact_requested_are_ignored() -> None:
    observed = parse([Exists("/x")], [MACHINE, "path\t/y", "user\tmallory\t/root"])
    assert observed.values == {Exists("/x"): False}


def test_reading_a_fact_that_was_not_requested_is_an_error() -> None:
    observed = parse([Exists("/x")], [MACHINE])
    with pytest.raises(UnknownFact, match=r"Package\(name='nftables'\)"):
        observed[Package("nftables")]
    assert observed.get(Package("nftables")) is False
    assert assumed()[Package("nftables")] is False


def test_facts_share_calls_and_only_their_own_functions_are_sent() -> None:
    facts = [Package("a"), Unit("x.service"), Package("b"), Tree("/t"), File("/t"), Package("a")]
    calls = script(facts).split("\nmachine\n")[1].splitlines()
    assert calls == ["package a b", "unit x.service", "tree /t", "", "exit 0"]
    assert "home_file()" not in script(facts)
    assert "home_file()" in script([HomeFile("ada", ".claude.json")])


def test_a_name_is_resolved_on_the_host(machine: Host) -> None:
    answer = r"[ $2 = gw ] && printf '127.0.1.1 STREAM gw\n127.0.1.1 DGRAM\n10.0.2.11 STREAM\n'"
    machine.add("getent", answer)
    observed = machine.observe(Addresses("gw"), Addresses("no-such-name"))
    assert observed[Addresses("gw")] == ("127.0.1.1", "10.0.2.11")
    assert observed[Addresses("no-such-name")] == ()
