"""A host that is this machine: commands and files without SSH, and the way to become root."""

from __future__ import annotations

import io
import os
import pwd
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from pyinfra.api import Config, Host, Inventory, State, StringCommand
from pyinfra.api.exceptions import ConnectError

from mirrorfleet.runtime import local
from mirrorfleet.runtime.chunk import Chunk
from mirrorfleet.runtime.inventory import groups


@pytest.fixture(name="laptop")
def this_machine() -> Host:
    """Return this machine as a host, without sudo."""
    inventory = Inventory(([(f"@{local.CONNECTOR}/laptop", {"_sudo": False})], {}))  # type: ignore[no-untyped-call]
    State(inventory, Config())  # type: ignore[no-untyped-call]
    found: Host = inventory.get_host("laptop")
    return found


def test_the_host_has_its_name_and_its_labels(tmp_path: Path) -> None:
    fleet = Path(__file__).parents[1] / "fleet/good/local.yml"
    (tmp_path / "mine.yml").write_text(fleet.read_text("utf-8"), "utf-8")
    found = groups(tmp_path / "mine.py")
    [(_, data)] = found["hosts"]
    inventory = Inventory((found["hosts"], {}), desk=(found["desk"], {}))  # type: ignore[no-untyped-call]
    assert [host.name for host in inventory] == ["laptop"]
    assert [host.name for host in inventory.get_group("desk")] == ["laptop"]
    assert not [key for key in data if key.startswith("ssh_")]
    assert data["_sudo"] == (os.geteuid() != 0)


def test_a_command_that_prints_before_it_reads_does_not_hang(laptop: Host) -> None:
    script = "head -c 300000 /dev/zero | tr '\\0' x\necho; echo end\n" + "# a line\n" * 20_000
    succeeded, output = laptop.run_shell_command(
        StringCommand("sh", "-s"), _stdin=[script], _shell_executable=None, _timeout=60
    )
    assert succeeded
    assert output.stdout_lines[-1] == "end"


def test_a_command_gets_no_variable_of_the_caller(
    laptop: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "of the controller")
    _, output = laptop.run_shell_command(StringCommand("env; pwd"))
    names = {line.split("=")[0] for line in output.stdout_lines if "=" in line}
    assert names <= {"PATH", "HOME", "USER", "LOGNAME", "PWD", "OLDPWD", "SHLVL", "_"}
    assert output.stdout_lines[-1] == str(Path(pwd.getpwuid(os.geteuid()).pw_dir).resolve())


def test_ctrl_c_reaches_no_command(laptop: Host) -> None:
    _, output = laptop.run_shell_command(StringCommand("ps -o pgid= -p $$"))
    assert int(output.stdout_lines[0]) != os.getpgrp()


def test_failures_are_reported(laptop: Host) -> None:
    succeeded, output = laptop.run_shell_command(StringCommand("echo no >&2; exit 3"))
    assert (succeeded, output.stderr) == (False, "no")


@pytest.mark.parametrize("kind", ["path", "bytes", "text", "chunk"])
def test_files_are_copied_for_this_user_only(laptop: Host, kind: str, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"0123456789")
    content = {
        "path": str(source),
        "bytes": io.BytesIO(b"0123456789"),
        "text": io.StringIO("0123456789"),
        "chunk": Chunk(source, 2, 5),
    }[kind]
    assert laptop.put_file(content, str(target), _sudo=False)
    assert target.read_bytes() == (b"23456" if kind == "chunk" else b"0123456789")
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("sudo", "message"),
    [
        ("exit 0", ""),
        ("exit 1", "sudo needs a password. Run this command as root, or let sudo ask no password"),
        (None, "this machine has no sudo. Run this command as root."),
    ],
)
def test_without_root_there_is_a_reason_with_its_fix(
    sudo: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sudo:
        (tmp_path / "sudo").write_text(f"#!/bin/sh\n{sudo}\n")
        (tmp_path / "sudo").chmod(0o755)
    monkeypatch.setattr(local, "PATH", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}" if sudo else str(tmp_path))
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    inventory = Inventory(([(f"@{local.CONNECTOR}/laptop", {"_sudo": True})], {}))  # type: ignore[no-untyped-call]
    State(inventory, Config())  # type: ignore[no-untyped-call]
    host = inventory.get_host("laptop")
    if not message:
        local.authorize(host)
        return
    with pytest.raises(ConnectError, match=message):
        local.authorize(host)


def test_pyinfra_finds_the_connector() -> None:
    """Its entry point is registered when the package is installed: run bin/setup again if not."""
    [found] = entry_points(group="pyinfra.connectors", name=local.CONNECTOR)
    assert found.load() is local.ThisMachine
