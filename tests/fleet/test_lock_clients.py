"""`mirrorfleet lock` for Claude Code and Ollama. npm's registry is a stand-in."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from packaging.version import Version

from mirrorfleet import fleet
from mirrorfleet.config.lock_files import NPM_WITHOUT_COOLDOWN
from mirrorfleet.data import load, proposed
from tests.fleet.test_lock_command import FLEET, ROOT, lock

RELEASE = proposed("claude")
CLIENT = ROOT / f"roles/claude/locks/{RELEASE}.json"


def publish(registry: Path, version: str, age: timedelta) -> None:
    """Add a release to the registry, with the packages of the locked one."""
    for package in json.loads(CLIENT.read_text())["packages"].values():
        entry = {
            "version": version,
            "dist.integrity": package["integrity"],
            "time": {"1.0.0": "2025-01-01T00:00:00Z", version: f"{datetime.now(UTC) - age}"},
        }
        name = package["name"].rpartition("/")[2]
        (registry / f"{name}@{version}").write_text(json.dumps(entry))


def test_the_lock_file_of_the_client_is_generated_from_the_registry(
    project: Path, registry: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    locks = project / "roles/claude/locks"
    newest = max((path.stem for path in locks.glob("*.json")), key=Version)
    publish(registry, RELEASE, timedelta(days=7, minutes=1))
    publish(registry, "9.9.9", timedelta(days=30))
    assert (lock("claude", "9.9.9"), lock("claude", RELEASE)) == (0, 0)
    assert f"Claude Code 9.9.9, compared with {newest}:" in capsys.readouterr().out
    known = json.loads((project / "schemas/claude-settings-9.9.9.json").read_text())
    assert known["title"] == "Settings of Claude Code 9.9.9"
    made = (locks / f"{RELEASE}.json").read_text()
    shipped = json.loads(CLIENT.read_text())
    shipped.pop(NPM_WITHOUT_COOLDOWN, None)
    assert made == json.dumps(shipped, indent=2) + "\n"
    assert (locks / "9.9.9.json").read_text() == made.replace(RELEASE, "9.9.9")


def test_a_client_that_is_new_or_incomplete_changes_nothing(
    project: Path, registry: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    locks = project / "roles/claude/locks"
    before = {path.name: path.read_bytes() for path in locks.iterdir()}
    publish(registry, "9.9.9", timedelta(days=6))
    assert lock("claude", "9.9.9") == 1
    assert re.search(
        r"9\.9\.9 was published on .*, less than a week ago\. Wait until [\d-]+ \d\d:\d\d UTC, or",
        capsys.readouterr().err,
    )
    (registry / "claude-code-darwin-x64@9.9.9").unlink()
    assert lock("--without-cooldown", "a vulnerability was reported", "claude", "9.9.9") == 1
    assert "darwin-x64 9.9.9: No match found" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in locks.iterdir()} == before


def test_an_isolated_group_with_a_new_release_once_it_is_locked(
    project: Path, registry: Path, tmp_path: Path
) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text(
        f"include: {FLEET}\ndevelopers:\n  next:\n    {{hosts: [dev], users: [ada], "
        "scope: isolated, "
        "model: coder, key: {env: KEY}, version: 9.9.9}\n"
    )
    with pytest.raises(fleet.FleetError, match=r"or add locks/claude/9.9.9.json\."):
        fleet.load(path)
    publish(registry, "9.9.9", timedelta(0))
    assert lock("--without-cooldown", "a vulnerability was reported", "claude", "9.9.9") == 0
    planned = fleet.plan(fleet.load(path))
    assert planned.hosts["dev"].clients
    assert planned.hosts["dev"].clients.versions == ("2.1.331", "9.9.9")
    [warning] = planned.fleet.warnings
    assert (
        f"less than a week old (claude, {date.today()}): a vulnerability was reported."
        in warning.text
    )


SUMS = """\
1111111111111111111111111111111111111111111111111111111111111111  ./ollama-linux-amd64.tar.zst
2222222222222222222222222222222222222222222222222222222222222222  ./ollama-linux-arm64.tar.zst
3333333333333333333333333333333333333333333333333333333333333333  ./ollama-darwin.tgz
"""


@pytest.fixture(name="sums")
def sha256sum(project: Path) -> Path:
    data = project / "mirrorfleet/data"
    data.mkdir(parents=True)
    shutil.copy(ROOT / "mirrorfleet/data/ollama.yml", data)
    path = project / "sha256sum.txt"
    path.write_text(SUMS)
    return path


def test_the_checksums_of_a_release_of_ollama(
    project: Path, sums: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = project / "mirrorfleet/data/ollama.yml"
    before = load(data.read_text())
    assert lock("ollama", "99.0.1", "--from", str(sums)) == 0
    printed = capsys.readouterr().out
    assert "the age of the release is not checked" in printed
    newest = max(before["releases"], key=Version)
    assert f"Ollama 99.0.1, compared with {newest}:" in printed
    assert "Next: bin/test fast, then the real thing: MIRRORFLEET_OLLAMA=PROGRAM" in printed
    after = load(data.read_text())
    digests = {"x86_64": "1" * 64, "aarch64": "2" * 64}
    assert after == {**before, "releases": {**before["releases"], "99.0.1": digests}}
    assert data.read_text().startswith("# Releases of Ollama and the SHA-256 checksums")


@pytest.mark.parametrize(
    ("release", "text", "message"),
    [
        ("99.0.1", SUMS.replace("arm64", "riscv"), "no SHA-256 of ollama-linux-arm64.tar.zst"),
        ("99.0.1", None, "sha256sum.txt: No such file"),
        ("0.17.0", SUMS, "Ollama 0.17.0 must not be installed: CVE-2026-7482"),
    ],
)
def test_a_release_of_ollama_that_cannot_be_recorded(
    project: Path,
    sums: Path,
    release: str,
    text: str | None,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = project / "mirrorfleet/data/ollama.yml"
    before = data.read_bytes()
    sums.write_text(text) if text else sums.unlink()
    assert lock("ollama", release, "--from", str(sums)) == 1
    assert message in capsys.readouterr().err
    assert data.read_bytes() == before


@pytest.fixture(name="vendor")
def releases_of_ollama(sums: Path, project: Path) -> Iterator[Callable[[datetime], None]]:
    """Serve sha256sum.txt with a date, as the releases' page does, and use it in ollama.yml."""
    headers: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sums.read_bytes())

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        data = project / "mirrorfleet/data/ollama.yml"
        url = f"http://127.0.0.1:{server.server_port}/v{{version}}/{{archive}}"
        data.write_text(re.sub(r"(?m)^url: .*", f"url: {url}", data.read_text()))
        yield lambda date: headers.update({"Last-Modified": format_datetime(date, usegmt=True)})
        server.shutdown()


def test_a_release_of_ollama_waits_for_a_week(
    project: Path, vendor: Callable[[datetime], None], capsys: pytest.CaptureFixture[str]
) -> None:
    data = project / "mirrorfleet/data/ollama.yml"
    assert lock("ollama", "99.0.1") == 1
    assert "has no date, so its age is unknown" in capsys.readouterr().err
    vendor(datetime.now(UTC) - timedelta(days=6))
    assert lock("ollama", "99.0.1") == 1
    assert "less than a week ago" in capsys.readouterr().err
    assert lock("--without-cooldown", "it is used against us", "ollama", "99.0.1") == 0
    note = load(data.read_text())["releases"]["99.0.1"]["without_cooldown"]
    assert note == f"(ollama, {date.today()}): it is used against us"
    vendor(datetime.now(UTC) - timedelta(days=8))
    assert lock("ollama", "99.0.1") == 0
    assert "without_cooldown" not in load(data.read_text())["releases"]["99.0.1"]
