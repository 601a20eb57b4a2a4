"""`mirrorfleet audit`: what it finds in a fleet file and on hosts, and what it downloads."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mirrorfleet import advisory_folders, fleet
from mirrorfleet.cli.main import main
from mirrorfleet.config.advisories import CLAUDE_CODE, LITELLM, PYPI, Package
from mirrorfleet.config.ollama import PACKAGE as OLLAMA
from mirrorfleet.jobs import audit
from mirrorfleet.jobs.audit import report
from mirrorfleet.jobs.audit.findings import Installed, Release, findings, parse, updates
from mirrorfleet.jobs.audit.refresh import RefreshError, refresh
from mirrorfleet.runtime.observe import script

BASE = Path(__file__).parents[1] / "fleet/bad/base/whole.yml"


def test_what_a_host_has(tmp_path: Path) -> None:
    """The script reads environments that units start, names of clients, and apt's updates."""
    root, etc, home = tmp_path / "opt", tmp_path / "etc", tmp_path / "home"
    for folder in (
        "opt/litellm/environments/1.82.7-aa/lib/python3.11/site-packages/litellm-1.82.7.dist-info",
        "opt/litellm/environments/1.82.7-aa/lib/python3.11/site-packages/my_package-2.dist-info",
        "opt/litellm/environments/1.80.0-bb/lib/python3.11/site-packages/h11-0.14.0.dist-info",
        "opt/claude/2.1.331",
        "home/ada/.local/share/claude/versions/2.1.100",
        "etc",
        "bin",
    ):
        (tmp_path / folder).mkdir(parents=True)
    unit = f"ExecStart={root}/litellm/environments/1.82.7-aa/bin/litellm --port=1\n"
    (etc / "mirrorfleet-litellm.service").write_text(unit)
    unit = f"ExecStart={root}/ollama/releases/0.17.0-cc/bin/ollama serve\n"
    (etc / "mirrorfleet-ollama.service").write_text(unit)
    apt = tmp_path / "bin/apt"
    apt.write_text(
        "#!/bin/sh\n"
        "echo 'haproxy/stable-security 2.6.12-1+deb12u9 amd64 [upgradable from: 2.6.12-1]'\n"
        "echo 'haproxy-doc/stable-security 2.6.12-1+deb12u9 all [upgradable from: 2.6.12-1]'\n"
        "echo 'nftables/stable 1.2 amd64 [upgradable from: 1.1]'\n"
    )
    apt.chmod(0o755)
    text = script((), audit.SCRIPT)
    text = text.replace("/opt/mirrorfleet", str(root)).replace("/home/", f"{home}/")
    text = text.replace("/etc/systemd/system", str(etc))
    done = subprocess.run(
        ["sh", "-s"],
        input=text,
        env={"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert not done.stderr
    found = parse(line for line in done.stdout.splitlines() if not line.startswith("machine"))
    assert found == Installed(
        {
            Release(LITELLM, "1.82.7"): "litellm/environments/1.82.7-aa",
            Release(Package(PYPI, "my-package"), "2"): "litellm/environments/1.82.7-aa",
            Release(OLLAMA, "0.17.0"): "ollama/releases/0.17.0-cc",
            Release(CLAUDE_CODE, "2.1.331"): "claude/2.1.331",
            Release(CLAUDE_CODE, "2.1.100"): "a client that ada installed",
        },
        (("haproxy", "2.6.12-1", "2.6.12-1+deb12u9"),),
    )


REPORT = """\
litellm 1.82.8: malicious  (gw)
    MAL-2026-2144: a malicious release that steals credentials
        https://github.com/BerriAI/litellm/issues/24512
h11 0.15.0: vulnerable  (gateway.version, gw)
    CVE-2025-43859, fixed in 0.16.0: requests can be smuggled past a proxy
        https://github.com/advisories/GHSA-vqfr-h8mv-ghfj
haproxy 2.6.12-1: security update 2.6.12-2  (gw)
    apt-get update && apt-get install --only-upgrade haproxy
lost: the host is unreachable
2 releases to replace, 1 pending security updates.
"""


def test_the_report() -> None:
    loaded = fleet.load(BASE)
    h11 = Release(Package(PYPI, "h11"), "0.15.0")
    malicious = Release(LITELLM, "1.82.8")
    gateway = Installed({h11: "", malicious: ""}, (("haproxy", "2.6.12-1", "2.6.12-2"),))
    judged = [
        one
        for one in findings(loaded, [(h11, "gateway.version"), (h11, "gw"), (malicious, "gw")])
        if one.advisory.name in ("MAL-2026-2144", "CVE-2025-43859")
    ]
    console = Console(width=80, record=True, highlight=False, file=StringIO())
    report.show(console, judged, updates({"gw": gateway}), {"lost": "the host is unreachable"})
    assert console.export_text() == REPORT


def test_a_fleet_file_with_a_refused_release_is_audited(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "fleet.yml"
    text = BASE.read_text("utf-8")
    release = fleet.load(BASE).gateway.version  # type: ignore[union-attr]
    file.write_text(text.replace(f"version: {release},", "version: 1.83.0,"), "utf-8")
    assert main(["audit", str(file), "--offline", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert {one["state"] for one in found if one["package"] == "litellm"} == {
        "vulnerable",
        "no fix",
    }
    assert all(one["places"] == ["gateway.version"] for one in found if one["version"] == "1.83.0")


def test_a_fleet_of_fixed_releases_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(BASE), "--offline"]) == 0
    assert "No release must be replaced" in capsys.readouterr().out


class Osv(BaseHTTPRequestHandler):
    """A stand-in for OSV's API: two pages of ids, and their documents."""

    documents: dict[str, dict[str, Any]]

    def do_POST(self) -> None:
        assert self.path == "/v1/querybatch"
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        results: list[dict[str, Any]] = []
        for query in body["queries"]:
            assert query["package"] == {"ecosystem": "PyPI", "name": "litellm"}
            first, second = self.documents
            if query.get("page_token") == "2":
                results.append({"vulns": [{"id": second, "modified": "2026"}]})
            else:
                known = [{"id": first, "modified": "2026"}]
                results.append({"vulns": known, "next_page_token": "2"})
        self.answer({"results": results})

    def do_GET(self) -> None:
        self.answer(self.documents[self.path.removeprefix("/v1/vulns/")])

    def answer(self, body: Any) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(name="osv")
def serving() -> Iterator[str]:
    package = {"package": {"ecosystem": "PyPI", "name": "litellm"}, "versions": ["1.0"]}
    Osv.documents = {
        "GHSA-1": {"id": "GHSA-1", "affected": [package]},
        "GHSA-2": {"id": "GHSA-2", "affected": [package], "withdrawn": "2026-11-01T00:00:00Z"},
    }
    with ThreadingHTTPServer(("127.0.0.1", 0), Osv) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_advisories_are_downloaded(osv: str, tmp_path: Path) -> None:
    folder = tmp_path / "advisories"
    folder.mkdir()
    (folder / "GHSA-2.json").write_text("{}")
    assert refresh(folder, [LITELLM, LITELLM], osv) == 2
    assert [path.name for path in folder.iterdir()] == ["GHSA-1.json"]
    known = advisory_folders.advisories(tmp_path / "fleet.yml")
    assert "GHSA-1" in {hit.advisory.id for hit in known.hits(LITELLM, "1.0")}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "../GHSA-1"}, "'../GHSA-1' is not the id of an advisory"),
        ({"affected": 3}, "is not an advisory in OSV's format"),
    ],
)
def test_a_bad_answer_changes_nothing(
    osv: str, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    bad = Osv.documents["GHSA-1"] | changes
    Osv.documents = {bad["id"]: bad, "GHSA-2": Osv.documents["GHSA-2"]}
    with pytest.raises(RefreshError, match=message):
        refresh(tmp_path / "advisories", [LITELLM], osv)
    assert not (tmp_path / "advisories").exists()


def test_without_a_network_the_folder_stays(tmp_path: Path) -> None:
    with pytest.raises(RefreshError, match="Connection refused"):
        refresh(tmp_path / "advisories", [LITELLM], "http://127.0.0.1:9")
