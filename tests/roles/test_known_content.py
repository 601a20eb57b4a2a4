"""Everything that Claude Code sends is known, for each pinned release.

known_content/RELEASE.yml lists what the release sends in the situations below, each with what
becomes of it behind a gateway: passed, mended, dropped or refused. A part that is not in the list
fails the test. So a new release that sends something else is noticed before developers get it.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.version import Version

from mirrorfleet.roles.litellm.files import mirrorfleet_allowlist as allowlist
from tests.roles import mcp_server
from tests.roles.content import Part, parts
from tests.roles.real_client import SHELL, needed, on_terminal, package, unpacked
from tests.roles.recorder import ANSWER, Recorder, calls, recorder
from tests.roles.test_derived_settings import created_home
from tests.roles.web_page import TITLE, web_page

HERE = Path(__file__).parent
RELEASES = sorted(path.stem for path in (HERE.parents[1] / "roles/claude/locks").glob("*.json"))
OUTCOMES = {"passed", "mended", "dropped", "refused"}

PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\n"
    b"trailer<</Root 1 0 R>>\n%%EOF\n"
)

Known = dict[str, dict[str, str]]


def known(release: str) -> Known:
    """Return the list of a release, else that of the release before, else the oldest."""
    lists = sorted((Version(path.stem), path) for path in HERE.glob("known_content/*.yml"))
    before = [path for version, path in lists if version <= Version(release)]
    content: Known = yaml.safe_load((before[-1] if before else lists[0][1]).read_text())
    return content


@pytest.mark.parametrize("release", RELEASES)
def test_every_entry_has_an_outcome(release: str) -> None:
    for kind, entries in known(release).items():
        assert set(entries.values()) <= OUTCOMES, kind


@pytest.mark.parametrize("release", RELEASES)
def test_the_outcomes_of_fields_and_headers_are_those_of_the_gateways_list(release: str) -> None:
    content = known(release)
    fields = {name: outcome for name, outcome in content["fields"].items() if name.isidentifier()}
    for name, outcome in fields.items():
        assert (name in allowlist.FIELDS) is (outcome != "dropped"), name
    for name, outcome in content["headers"].items():
        assert _passes(name.encode()) is (outcome == "passed"), name
    for name, outcome in content["query"].items():
        assert (name in allowlist.QUERY) is (outcome == "passed"), name


def _passes(name: bytes) -> bool:
    """Return whether the gateway passes a header, or writes it for the body that it passes."""
    if name in allowlist.HEADERS or name in (b"content-type", b"content-length"):
        return True
    return name.startswith(allowlist.ALLOWED_PREFIXES) and not (
        name.startswith(allowlist.REFUSED_PREFIXES) or name in allowlist.CREDENTIALS
    )


class Session:
    """A home of a group's one developer, and the stand-in that its client asks."""

    def __init__(self, client: Path, gateway: Recorder, home: Path) -> None:
        self.client, self.gateway, self.home = client, gateway, home

    def ask(
        self,
        *arguments: str | Path,
        prompt: str = "Say something.",
        given: str = "",
        shell: dict[str, str] | None = None,
    ) -> None:
        """Run the client without a terminal; the test looks at its requests only."""
        command = [self.client, "--dangerously-skip-permissions", *arguments, "-p"]
        subprocess.run(
            command if given else [*command, prompt],
            env=SHELL | {"HOME": str(self.home)} | (shell or {}),
            cwd=self.home,
            input=given,
            capture_output=True,
            text=True,
            timeout=90,
        )

    def use(self, tool: str, **given: Any) -> None:
        """Have the model call a tool once."""
        self.gateway.answer = calls(tool, **given)
        self.ask()

    def file(self, name: str, content: bytes) -> str:
        (self.home / name).write_bytes(content)
        return str(self.home / name)


def pasted(session: Session) -> None:
    """Send an image and a document as editors do."""
    image = {"type": "base64", "media_type": "image/png", "data": mcp_server.PIXEL}
    data = base64.b64encode(PDF).decode()
    document = {"type": "base64", "media_type": "application/pdf", "data": data}
    content = [
        {"type": "image", "source": image},
        {"type": "document", "source": document},
        {"type": "text", "text": "Look."},
    ]
    event = {"type": "user", "message": {"role": "user", "content": content}}
    streams = ("--input-format", "stream-json", "--output-format", "stream-json", "--verbose")
    session.ask(*streams, given=json.dumps(event) + "\n")


def compacted(session: Session) -> None:
    session.ask()
    session.ask("--continue", prompt="/compact")


def by_mcp(session: Session) -> None:
    server = {"command": sys.executable, "args": [mcp_server.__file__]}
    content = json.dumps({"mcpServers": {"shapes": server}}).encode()
    session.gateway.answer = calls("mcp__shapes__draw")
    session.ask("--mcp-config", session.file("mcp.json", content))


def on_a_terminal(session: Session) -> None:
    """Start a session that the client names by itself."""
    on_terminal(session.home, session.client, "go", lambda words: "heard" in words)


def of_the_web(session: Session) -> None:
    """Read a page, which the model of the haiku tier gets."""
    with web_page(session.home) as page:
        session.gateway.answer = calls("WebFetch", url=page.url, prompt="What is it about?")
        session.ask(shell={"NODE_EXTRA_CA_CERTS": str(page.certificate)})


def with_an_agent(session: Session) -> None:
    session.use("Agent", description="d", prompt="p", subagent_type="general-purpose")


SITUATIONS: dict[str, tuple[str, Callable[[Session], None]]] = {
    "local": ("local", lambda session: session.ask()),
    "small": ("small", lambda session: session.ask()),
    "thinking off": ("quiet", lambda session: session.ask()),
    "effort": ("oss", lambda session: session.ask()),
    "claude": ("claude", lambda session: session.ask()),
    "tool search": ("claude", lambda s: s.use("ToolSearch", query="select:WebFetch")),
    "WebSearch": ("local", lambda session: session.use("WebSearch", query="searxng")),
    "WebFetch": ("local", of_the_web),
    "no page": ("local", lambda s: s.use("WebFetch", url="https://127.0.0.1:9/x", prompt="p")),
    "image": (
        "local",
        lambda s: s.use("Read", file_path=s.file("x.png", base64.b64decode(mcp_server.PIXEL))),
    ),
    "PDF": ("local", lambda s: s.use("Read", file_path=s.file("x.pdf", PDF))),
    "pasted": ("local", pasted),
    "subagent": ("local", with_an_agent),
    "compaction": ("local", compacted),
    "MCP": ("local", by_mcp),
    "context": ("local", lambda session: session.ask(prompt="/context")),
    "terminal": ("local", on_a_terminal),
}


@pytest.fixture(scope="module", params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def client(release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if not package(release).exists():
        pytest.skip("the client is not in the cache")
    with unpacked(tmp_path_factory.mktemp("client"), release) as found:
        yield found


def observed(client: Path, place: Path, situation: str) -> set[Part]:
    """Return the parts of all requests of a situation."""
    group, run = SITUATIONS[situation]
    with recorder() as gateway:
        gateway.answer = lambda _: ANSWER
        run(Session(client, gateway, created_home(gateway, place, group)))
    requests = zip(gateway.asked, gateway.headers, gateway.targets, strict=True)
    assert gateway.asked, "the client sent nothing"
    return {
        part
        for body, headers, target in requests
        for part in parts({k: v for k, v in body.items() if k != "keys"}, headers, target)
    }


@needed
@pytest.mark.client
@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_client_sends_only_what_is_known(
    situation: str, release: str, client: Path, tmp_path: Path
) -> None:
    content = known(release)
    unknown: dict[str, list[str]] = {}
    for kind, name in sorted(observed(client, tmp_path, situation)):
        if name not in content.get(kind, {}):
            unknown.setdefault(kind, []).append(f"{name}: OUTCOME")
    assert not unknown, (
        f"Claude Code {release} sends what tests/roles/known_content/{release}.yml does not list. "
        "Find out what becomes of it behind a gateway, and add with passed, mended, dropped or "
        f"refused:\n{yaml.safe_dump(unknown)}"
    )


@needed
@pytest.mark.client
def test_the_model_of_the_haiku_tier_reads_web_pages(client: Path, tmp_path: Path) -> None:
    """As docs/how-to/developers.md says, and as `check` computes with."""
    with recorder() as gateway:
        of_the_web(Session(client, gateway, created_home(gateway, tmp_path, "local")))
        [asked] = [body for body in gateway.asked if body["model"] == "helper"]
        last = gateway.asked[-1]
    text = json.dumps(asked["messages"])
    assert TITLE in text
    assert 100_000 < len(text) < 105_000, "the page is cut"
    assert (asked["max_tokens"], "tools" in asked and asked["tools"]) == (16384, [])
    assert (last["model"], "heard" in json.dumps(last["messages"][-1])) == ("coder", True)
