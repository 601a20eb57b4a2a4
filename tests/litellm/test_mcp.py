"""MCP servers through the real LiteLLM: a real server, developers' keys, and the real client."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet import fleet
from mirrorfleet.roles.claude.json_file import written
from mirrorfleet.roles.claude.user_settings import assignment_of
from tests.litellm.conftest import GOOD
from tests.litellm.environment import environment
from tests.litellm.gateway import Answer, Gateway, free_port, planned, serving, started
from tests.litellm.upstream import Upstream
from tests.roles.real_client import SHELL, ask, needed, unpacked
from tests.roles.recorder import ANSWER, calls

PROGRAM = Path(__file__).parents[1] / "standins" / "mcp_server.py"
TICKETS, HANDBOOK = "Bearer sk-tickets_key-0123456789", "sk-handbook_key-0123456789"
WORKERS = 2


@dataclass(frozen=True)
class Server:
    """A running MCP server."""

    url: str
    record: Path

    def taken(self) -> list[dict[str, str]]:
        """Return the headers of requests since the last call."""
        lines = self.record.read_text().splitlines() if self.record.exists() else []
        self.record.write_text("")
        return [json.loads(line) for line in lines]


class At(Upstream):
    """Where the gateway finds the MCP servers; all others are the common stand-in."""

    def __init__(self, other: Upstream, servers: dict[str, Server]) -> None:
        super().__init__(other.url)
        self.servers = servers

    def instead_of(self, url: str) -> str:
        for name, server in self.servers.items():
            if url == f"https://{name}.example.com/mcp":
                return server.url
        return super().instead_of(url)


@contextmanager
def running(place: Path, token: str) -> Iterator[Server]:
    place.mkdir()
    port = free_port()
    python, record = environment() / "bin/python", place / "record"
    command = [str(python), str(PROGRAM), str(port), str(record), token]
    with started(command, place, {}, f"http://127.0.0.1:{port}/ready"):
        yield Server(f"http://127.0.0.1:{port}/mcp", record)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    place = tmp_path_factory.mktemp("servers")
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(running(place / name, token))
            for name, token in (("tickets", TICKETS), ("handbook", HANDBOOK))
        }


@pytest.fixture(scope="module")
def gateway(
    servers: dict[str, Server], upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    place = tmp_path_factory.mktemp("gateway")
    path = place / "recorded.yml"
    path.write_text(f"include: {GOOD}/other-agents.yml\ngateway: {{usage: {{}}}}\n")
    with serving(planned(path), At(upstream, servers), place, WORKERS) as found:
        yield found


def key(gateway: Gateway, name: str) -> str:
    return gateway.secrets[next(entry.key for entry in gateway.plan.keys if entry.name == name)]


def call(gateway: Gateway, path: str, person: str, method: str, **parameters: Any) -> Answer:
    """Send a message of MCP without a session."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    accepted = "application/json, text/event-stream"
    return gateway.ask(path, body, key(gateway, person), Accept=accepted)


def result(answer: Answer) -> Any:
    """Return the result of a message, which can be the one event of a stream."""
    assert answer.code == 200, answer
    if isinstance(answer.body, dict):
        return answer.body["result"]
    [data] = [line[6:] for line in answer.body.splitlines() if line.startswith("data: ")]
    return json.loads(data)["result"]


def tools(gateway: Gateway, path: str, person: str) -> set[str]:
    return {tool["name"] for tool in result(call(gateway, path, person, "tools/list"))["tools"]}


def test_a_developer_uses_the_tools_of_a_server(
    gateway: Gateway, servers: dict[str, Server]
) -> None:
    [name, *_] = sorted(tools(gateway, "/mcp/tickets", "ada"), reverse=True)
    found = result(
        call(gateway, "/mcp/tickets", "ada", "tools/call", name=name, arguments={"title": "soap"})
    )
    assert found["content"][0]["text"] == "soap: wash your hands"


def test_a_key_for_certain_models_opens_the_servers_of_its_group(gateway: Gateway) -> None:
    assert tools(gateway, "/mcp/handbook", "eve")


def test_the_server_gets_the_gateways_key_and_not_the_developers(
    gateway: Gateway, servers: dict[str, Server]
) -> None:
    for server in servers.values():
        server.taken()
    for name in servers:
        tools(gateway, f"/mcp/{name}", "ada")
    tickets, handbook = servers["tickets"].taken(), servers["handbook"].taken()
    assert {headers["authorization"] for headers in tickets} == {TICKETS}
    assert {headers["x-team"] for headers in tickets} == {"platform"}
    assert {headers["x-api-key"] for headers in handbook} == {HANDBOOK}
    assert key(gateway, "ada") not in json.dumps([tickets, handbook])


def test_only_the_listed_tools_are_offered_and_called(gateway: Gateway) -> None:
    assert len(tools(gateway, "/mcp/tickets", "ada")) == 2
    [name] = tools(gateway, "/mcp/handbook", "ada")
    assert name.endswith("look")
    forbidden = name.removesuffix("look") + "erase"
    answer = call(
        gateway, "/mcp/handbook", "ada", "tools/call", name=forbidden, arguments={"title": "soap"}
    )
    assert "gone" not in json.dumps(answer.body)


def test_a_group_reaches_its_own_servers_only(gateway: Gateway, servers: dict[str, Server]) -> None:
    assert tools(gateway, "/mcp/handbook", "linus")
    servers["tickets"].taken()
    refused = call(gateway, "/mcp/tickets", "linus", "tools/list")
    assert refused.code == 403
    assert "doesn't open /mcp/tickets" in refused.body["error"]["message"]
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    sent = {"name": "tickets-look", "arguments": {"title": "x"}}
    for headers in ({"x_mcp_servers": "tickets"}, {"x_mcp_access_groups": "tickets"}):
        answer = gateway.ask("/mcp/handbook", body, key(gateway, "linus"), **headers)
        assert "tickets" not in json.dumps(answer.body)
    call(gateway, "/mcp/handbook", "linus", "tools/call", **sent)
    call(gateway, "/mcp/handbook", "linus", "tools/call", **{**sent, "name": "tickets/look"})
    assert servers["tickets"].taken() == []


@pytest.mark.parametrize(
    "path",
    [
        *("/mcp", "/mcp/", "/mcp/nothing", "/mcp/tickets,handbook", "/mcp/handbook/", "/sse"),
        *("/tickets/mcp", "/handbook/mcp", "/mcp-rest/tools/list", "/v1/mcp/server"),
        *("/mcp/handbook/../tickets", "/mcp/tools", "/toolset/x/mcp", "/mcp/enabled"),
    ],
)
def test_no_other_path_opens(gateway: Gateway, path: str) -> None:
    assert call(gateway, path, "linus", "tools/list").code in (403, 404)
    assert gateway.ask(path, key=key(gateway, "linus")).code in (403, 404, 405)


def test_without_a_key_nothing_answers(gateway: Gateway) -> None:
    for path in ("/mcp/handbook", "/handbook/mcp", "/.well-known/oauth-protected-resource"):
        assert gateway.ask(path, {"jsonrpc": "2.0", "id": 1}, "sk-wrong").code == 401


def test_a_session_survives_a_change_of_the_worker(gateway: Gateway) -> None:
    """Sessions are in the memory of a worker; each request has its own connection."""
    client = {"name": "test", "version": "1"}
    begun = call(
        gateway,
        "/mcp/handbook",
        "ada",
        "initialize",
        protocolVersion="2025-06-18",
        capabilities={},
        clientInfo=client,
    )
    session = begun.headers["mcp-session-id"]
    body = {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}}
    for _ in range(12):
        answer = gateway.ask(
            "/mcp/handbook",
            body,
            key(gateway, "ada"),
            Accept="application/json, text/event-stream",
            mcp_session_id=session,
            mcp_protocol_version="2025-06-18",
        )
        assert result(answer)["tools"]


def test_servers_that_are_down_disturb_no_other(
    upstream: Upstream, servers: dict[str, Server], tmp_path: Path
) -> None:
    """Nor the start of a gateway. One refuses connections, one accepts them and is silent."""
    path = tmp_path / "down.yml"
    path.write_text(
        f"include: {GOOD}/other-agents.yml\n"
        "gateway: {mcp_servers: {silent: {url: 'https://silent.example.com/mcp'}}}\n"
        "developers: {research: {mcp_servers: [tickets, handbook, silent]}}\n"
    )
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        ports = {"tickets": free_port(), "silent": listener.getsockname()[1]}
        down = {
            name: Server(f"http://127.0.0.1:{port}/mcp", tmp_path / "none")
            for name, port in ports.items()
        }
        pool = stack.enter_context(ThreadPoolExecutor(1))
        everywhere = At(upstream, {**servers, **down})
        gateway = stack.enter_context(serving(planned(path), everywhere, tmp_path))
        # The first message to a worker loads LiteLLM's part for MCP.
        assert tools(gateway, "/mcp/handbook", "ada")
        silent = pool.submit(call, gateway, "/mcp/silent", "ada", "tools/list")
        assert tools(gateway, "/mcp/handbook", "ada")
        assert tools(gateway, "/mcp/tickets", "ada") == set()
        assert gateway.message("coder").text == "pong"
        assert not silent.done(), "the others were answered while LiteLLM waited for this one"


def looked_up(body: Any) -> Any:
    """Return the events of a model that calls the tool, after it waited for the servers.

    The client sends the first prompt of `claude -p` while it still connects to them.
    """
    name = "mcp__handbook__handbook-look"
    offered = [tool["name"] for tool in body.get("tools", ())]
    turns = [message["content"] for message in body["messages"] if message["role"] == "assistant"]
    if name not in offered:
        return calls("WaitForMcpServers")({**body, "messages": []})
    if name in json.dumps(turns):
        return ANSWER
    return calls(name, title="soap")({**body, "messages": []})


@needed
@pytest.mark.client
def test_claude_code_calls_a_tool_of_a_server(
    gateway: Gateway, upstream: Upstream, tmp_path: Path
) -> None:
    """In a home as a run leaves it."""
    path = tmp_path / "reached.yml"
    path.write_text(
        f"include: {GOOD}/other-agents.yml\ngateway: {{url: '{gateway.url}', mcp_servers: "
        "{handbook: {tools: [look]}}}\n"
    )
    clients = fleet.plan(fleet.load(path)).hosts["desk"].clients
    assert clients
    ada = next(user for user in clients.users if user.user == "ada")
    home, where = tmp_path / "home", assignment_of(ada)
    (home / where.directory).mkdir(parents=True)
    (home / where.key).write_text(key(gateway, "ada"))
    (home / where.state).write_bytes(written(ada.state))
    (home / where.settings).write_bytes(written(ada.settings))
    with upstream.changed(events=looked_up), unpacked(tmp_path) as client:
        upstream.taken()
        ask(home, client, "--dangerously-skip-permissions", patience=240)
        requests = upstream.taken()
        shown = subprocess.run(
            [client, "mcp", "list"],
            env=SHELL | {"HOME": str(home)},
            cwd=home,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert "soap: wash your hands" in json.dumps(requests[-1].body)
    assert f"handbook: {gateway.url}/mcp/handbook (HTTP) - ✔ Connected" in shown.stdout
