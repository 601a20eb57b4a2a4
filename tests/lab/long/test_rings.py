"""Rings on real hosts: what breaks developers is stopped at the first ring and taken back.

A bad client release, a bad alias and a bad gateway setting: all of them pass the checks and the
gateway's own probe, and fail when the real client asks.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import secrets
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirrorfleet.runtime.cache import npm_file
from tests.lab import look, paths, rolling

FLEET = Path(__file__).with_name("rings.yml")
FIRST, SECOND = ("gw-1", "dev"), ("gw-2", "dev-2")
PACKAGE = "@anthropic-ai/claude-code-linux-x64"
BAD = "2.1.999"

# A release that starts and reports its version, and crashes at the first question.
CRASHES = f"""\
#!/bin/sh
case $1 in
    --version) echo "{BAD} (Claude Code)" ;;
    doctor) echo "Claude Code doctor" ;;
    *) echo "Segmentation fault" >&2 && exit 139 ;;
esac
"""

# A callback that refuses requests as Claude Code sends them, and lets short ones pass.
REFUSES = '''\
"""A setting of a gateway that its own probe does not find."""

from litellm.integrations.custom_logger import CustomLogger


class Refuse(CustomLogger):
    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        if len(str(data.get("messages"))) + len(str(data.get("system"))) > 4000:
            raise ValueError("this house takes short texts only")
        return data


refuse = Refuse()
'''


@pytest.fixture(scope="module", autouse=True)
def rings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Put the lab's hosts into two rings, and prove both; restore the lab at the end."""
    subprocess.run(["bin/lab", "up", "1"], cwd=paths.REPOSITORY, check=True)
    rolling.certificate()
    key = paths.ACCESS / "secrets" / "others"
    key.write_text(f"sk-{secrets.token_hex(24)}\n")
    directory = tmp_path_factory.mktemp("first")
    done = look.mirror(fleet=fleet(directory))
    assert done.returncode == 0, done.stdout + done.stderr
    yield
    inventory = str(directory / "inventories/rings.py")
    look.pyinfra("-y", "--limit", "dev-2", inventory, "deploys/remove_clients.py")
    assert look.mirror().returncode == 0


def fleet(directory: Path, *edits: tuple[str, str]) -> Path:
    """Write rings.yml with some texts replaced, each as often as it occurs."""
    text = FLEET.read_text("utf-8")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    inventories = directory / "inventories"
    inventories.mkdir(parents=True)
    (directory / ".lab").symlink_to(paths.ACCESS)
    (inventories / "rings.yml").write_text(text, "utf-8")
    shutil.copy(look.FLEET.with_suffix(".py"), inventories / "rings.py")
    return inventories / "rings.yml"


def untouched(host: str) -> str:
    """Return what a run can change on a host, without what status and locks write."""
    return look.state(host)


def client(host: str) -> str:
    return look.run(host, "claude --version; readlink /usr/local/bin/claude")


def settings(host: str, user: str) -> str:
    return look.run(host, f"cat /home/{user}/.claude/settings.json /home/{user}/.claude.json")


def generation(host: str) -> str:
    link = look.run(host, "readlink /opt/mirrorfleet/litellm/current")
    running = "systemctl show -p MainPID --value mirrorfleet-litellm"
    environment = look.run(host, f"tr '\\0' '\\n' </proc/$({running})/environ")
    assert link.strip().rpartition("/")[2] in environment
    return link


def record(host: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(
        look.run(host, "cat /var/lib/mirrorfleet/ring.json")
    )
    return found


def stopped(directory: Path, *edits: tuple[str, str]) -> str:
    """Deploy a bad change. Check that the first ring went back and the second is untouched.

    Return the output of the run, on one line.
    """
    before = {host: generation(host) for host in ("gw-1", "gw-2")}
    had, commands = settings("dev", "ada"), client("dev")
    second = {host: untouched(host) for host in SECOND}
    done = look.mirror(fleet=fleet(directory, *edits))
    output = " ".join(look.plain(done.stdout + done.stderr).split())
    assert done.returncode == 1, output
    assert re.search(r"ring 'canary' failed on dev: ", output), output
    assert re.search(r"\[gw-2\] skipped: ring 'rest' stays as it is", output) or re.search(
        r"\[dev-2\] skipped: ring 'rest' stays as it is", output
    ), output
    assert {host: untouched(host) for host in SECOND} == second
    assert {host: generation(host) for host in before} == before
    assert settings("dev", "ada") == had
    assert client("dev") == commands
    failure = record("dev")["failed"]
    assert failure["asked"] == "ada on dev"
    assert look.changes(look.mirror("--json", fleet=fleet(directory / "again"))) == []
    return output


def test_both_rings_are_proved_and_status_shows_it(tmp_path: Path) -> None:
    for host, user in (("gw-1", "ada on dev"), ("dev", "ada on dev"), ("gw-2", "linus on dev-2")):
        proved = record(host)["proved"]
        assert (proved["asked"], proved["gateway"]) == (user, "1.106.12")
    command = [str(paths.REPOSITORY / ".venv/bin/mirrorfleet"), "status", str(fleet(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "canary" in done.stdout and "ada on dev" in done.stdout


def test_a_bad_client_release(tmp_path: Path) -> None:
    package = _package(tmp_path)
    try:
        output = stopped(tmp_path / "bad", ("version: 2.1.331", f"version: {BAD}"))
    finally:
        package.unlink()
    assert "client: the client reports: Segmentation fault" in output


def _package(directory: Path) -> Path:
    """Write the bad release as npm would deliver it, with a lock file; return its tarball."""
    text = CRASHES.encode()
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        entry = tarfile.TarInfo("package/claude")
        entry.size, entry.mode = len(text), 0o755
        archive.addfile(entry, io.BytesIO(text))
    digest = base64.b64encode(hashlib.sha512(raw.getvalue()).digest()).decode()
    packages = {"x86_64": {"name": PACKAGE, "integrity": f"sha512-{digest}"}}
    locks = directory / "bad" / "locks" / "claude"
    locks.mkdir(parents=True)
    lock = {"version": BAD, "packages": packages}
    (locks / f"{BAD}.json").write_text(json.dumps(lock), "utf-8")
    tarball = paths.cache().parent / "npm" / npm_file(PACKAGE, BAD)
    tarball.parent.mkdir(parents=True, exist_ok=True)
    tarball.write_bytes(raw.getvalue())
    return tarball


def test_a_bad_alias(tmp_path: Path) -> None:
    stopped(tmp_path, ("haiku: tiny", "haiku: gone"))


def test_a_bad_gateway_setting(tmp_path: Path) -> None:
    bad = "probe: [tiny]\n  modules: [../house.py]\n  callbacks: [house.refuse]"
    (tmp_path / "house.py").write_text(REFUSES, "utf-8")
    output = stopped(tmp_path, ("probe: [tiny]", bad))
    assert "this house takes short texts only" in output


def test_a_good_change_reaches_both_rings(tmp_path: Path) -> None:
    before = {host: generation(host) for host in ("gw-1", "gw-2")}
    done = look.mirror(fleet=fleet(tmp_path, ("timeout: 60", "timeout: 61")))
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(generation(host) != before[host] for host in before)
    assert record("gw-2")["failed"] is None
