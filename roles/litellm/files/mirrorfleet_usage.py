"""Record every turn in the ledger of this gateway (mirrorfleet_ledger.py).

Two sources make one row: the request and its response as they pass through this worker (who asked,
status, times, whether the client left), and LiteLLM's reports of its calls (deployment, tokens,
cost). A call ID joins them, which this module sets: a fallback is two calls of one turn.

Recorded are requests to /v1/messages, to the passthrough, and any other request for which LiteLLM
calls a model. Not recorded: token counts and messages to MCP servers, which use no tokens, and
requests without a valid key.
A turn that a killed worker had under way is not recorded: no engine reports it.

``finished`` has functions that get the row of each turn when it ends, in the event loop: limits and
budgets use them.

LiteLLM calls `install` in every worker when it starts (LITELLM_WORKER_STARTUP_HOOKS).
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import litellm
from litellm.integrations.custom_logger import CustomLogger
from prometheus_client import Counter

if TYPE_CHECKING:
    from socket import socket

    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from uvicorn import Server

    from mirrorfleet.roles.litellm.files import mirrorfleet_allowlist as allowlist
    from mirrorfleet.roles.litellm.files.mirrorfleet_clients import MCP
    from mirrorfleet.roles.litellm.files.mirrorfleet_ledger import Ledger, Turn
    from mirrorfleet.roles.litellm.files.mirrorfleet_names import TURN
    from mirrorfleet.roles.litellm.files.mirrorfleet_usage_turn import OpenTurn, identity, session
    from mirrorfleet.roles.litellm.files.mirrorfleet_usage_writer import Writer

    Shutdown = Callable[[Server, list[socket] | None], Awaitable[None]]
else:
    import mirrorfleet_allowlist as allowlist
    from mirrorfleet_clients import MCP
    from mirrorfleet_ledger import Ledger, Turn
    from mirrorfleet_names import TURN
    from mirrorfleet_usage_turn import OpenTurn, identity, session
    from mirrorfleet_usage_writer import Writer

Json = dict[str, Any]

HERE = Path(__file__).parent

CALL = b"x-litellm-call-id"
"""The header whose value LiteLLM uses as the ID of a call. Clients' own values do not pass."""

COUNT = "/count_tokens"

FLUSH = 5.0
"""Most seconds in which a worker that stops waits for LiteLLM's reports."""

TURNS = Counter(
    "mirrorfleet_usage_turns", "Turns by result", ["person", "group", "model", "outcome"]
)
TOKENS = Counter("mirrorfleet_usage_tokens", "Tokens", ["person", "group", "model", "kind"])
DOLLARS = Counter("mirrorfleet_usage_dollars", "Cost of turns", ["person", "group", "model"])
FALLBACKS = Counter("mirrorfleet_usage_fallbacks", "Turns of another model", ["group", "model"])

current: ContextVar[OpenTurn | None] = ContextVar("mirrorfleet_turn", default=None)
"""The turn of the running request; LiteLLM's hooks run in its context."""

finished: list[Callable[[Turn], None]] = []


class Recorder(CustomLogger):  # type: ignore[misc]
    """The hook of LiteLLM, and the turns under way by call ID."""

    def __init__(self, writer: Writer, name: Callable[[str], str], served: list[str]) -> None:
        super().__init__()
        self.writer, self.name = writer, name
        self.served, self.patterns = set(served), [each for each in served if "*" in each]
        self.open: dict[str, OpenTurn] = {}

    async def async_pre_call_deployment_hook(self, kwargs: Json, call_type: Any) -> None:
        """Note the deployment of a call; the request stays as it is."""
        if turn := current.get():
            metadata = kwargs.get("litellm_metadata") or kwargs.get("metadata") or {}
            model = str(metadata.get("deployment_model_name") or "")
            is_fallback, kind = bool(kwargs.get("fallback_depth")), str(call_type)
            turn.call(model, kwargs.get("model_info") or {}, is_fallback, kind)

    async def async_log_success_event(
        self, kwargs: Json, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Note the tokens and the cost of a call."""
        if found := self.reported(kwargs):
            call, turn, payload = found
            turn.succeed(payload)
            self.settle(call, turn)

    async def async_log_failure_event(
        self, kwargs: Json, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Note that a call failed; a fallback may follow."""
        if found := self.reported(kwargs):
            call, turn, _payload = found
            turn.failures += 1
            self.settle(call, turn)

    def reported(self, kwargs: Json) -> tuple[str, OpenTurn, Json] | None:
        """Return the turn of a report of LiteLLM, if it is open, and the report.

        The passthrough has call IDs of its own: there, the context of the request has the turn.
        """
        call = str(kwargs.get("litellm_call_id"))
        if call not in self.open:
            running = current.get()
            call = next((each for each, turn in self.open.items() if turn is running), "")
        if not (turn := self.open.get(call)):
            return None
        payload = kwargs.get("standard_logging_object") or {}
        self.identify(turn, payload.get("metadata") or {})
        return call, turn, payload

    def identify(self, turn: OpenTurn, metadata: Json) -> None:
        """Add the holder of a virtual key, whom only LiteLLM knows."""
        if not turn.person and not turn.group:
            who = metadata.get("user_api_key_alias") or metadata.get("user_api_key_user_id")
            turn.person = self.name(str(who or ""))
            turn.group = str(metadata.get("user_api_key_team_alias") or "")

    def asked(self, name: str) -> str:
        """Return a requested name for the ledger: never what a client made up."""
        if name in self.served or not name:
            return name
        return next((each for each in self.patterns if fnmatchcase(name, each)), "?")

    def begin(self, scope: Scope) -> tuple[str, OpenTurn]:
        """Return a new turn and its call ID."""
        headers = dict(scope["headers"])
        person, group = scope.get("mirrorfleet_caller", ("", ""))
        turn = OpenTurn(
            self.name(person),
            group,
            self.asked(scope.get("mirrorfleet_model", "")),
            self.name(session(headers.get(b"x-claude-code-session-id", b"").decode("latin-1"))),
            int(headers.get(b"content-length", b"0") or 0),
        )
        call = str(uuid.uuid4())
        self.open[call] = turn
        return call, turn

    def end(self, call: str, turn: OpenTurn, path: str) -> None:
        """End a turn: its row waits for LiteLLM's report."""
        turn.end()
        is_turn = path == TURN or path.startswith(allowlist.PASSTHROUGH)
        if not is_turn and not turn.calls and not turn.successes:
            del self.open[call]  # a request of LiteLLM's administration
        elif not self.settle(call, turn):
            asyncio.get_running_loop().call_later(turn.patience, self.record, call)

    def settle(self, call: str, turn: OpenTurn) -> bool:
        """Record a turn that has ended if its reports are complete; return whether they are."""
        if turn.ended is None or not turn.is_counted:
            return False
        self.record(call)
        return True

    def record(self, call: str) -> None:
        """Write the row of a turn, once."""
        turn = self.open.pop(call, None)
        if turn is None:
            return
        row = turn.row()
        self.writer.add(row)
        TURNS.labels(row.person, row.group, row.model, row.outcome).inc()
        for kind in ("input", "cache_read", "cache_write", "output"):
            if count := getattr(row, kind):
                TOKENS.labels(row.person, row.group, row.model, kind).inc(count)
        if row.cost:
            DOLLARS.labels(row.person, row.group, row.model).inc(row.cost / 1e9)
        if row.fallback:
            FALLBACKS.labels(row.group, row.model).inc()
        for function in finished:
            function(row)

    async def finish(self) -> None:
        """Record all turns of a worker whose server has ended them, after LiteLLM's reports."""
        from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER

        with suppress(TimeoutError):
            await asyncio.wait_for(GLOBAL_LOGGING_WORKER.flush(), FLUSH)
        self.close()

    def stop(self) -> None:
        """Record all turns of a worker that exits without a signal, after LiteLLM's reports."""
        from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER

        GLOBAL_LOGGING_WORKER._flush_on_exit()
        self.close()

    def close(self) -> None:
        """Record all turns that have ended, and write them."""
        for call, turn in list(self.open.items()):
            if turn.ended is not None:
                self.record(call)
        self.writer.stop()


def finishing(shutdown: Shutdown, recorder: Recorder) -> Shutdown:
    """Return uvicorn's end of a server, at which all turns are recorded.

    After it, uvicorn raises the signal that it got again: exit functions would not run.
    """

    async def end(server: Server, sockets: list[socket] | None = None) -> None:
        await shutdown(server, sockets)
        await recorder.finish()

    return end


def recorded(app: ASGIApp, recorder: Recorder) -> ASGIApp:
    """Return an application that records the turns of ``app``."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        is_recorded = scope["type"] == "http" and scope["method"] == "POST"
        if not is_recorded or path.endswith(COUNT) or path.startswith(MCP):
            await app(scope, receive, send)
            return
        call, turn = recorder.begin(scope)
        headers = [header for header in scope["headers"] if header[0] != CALL]
        scope = {**scope, "headers": [*headers, (CALL, call.encode())]}

        async def receive_noted() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                turn.has_left = True
            return message

        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                kind = next((v for k, v in message["headers"] if k == b"content-type"), b"")
                turn.respond(message["status"], kind.startswith(b"text/event-stream"))
            elif message["type"] == "http.response.body":
                turn.send(message.get("body", b""), not message.get("more_body", False))
            await send(message)

        token = current.set(turn)
        try:
            await app(scope, receive_noted, send_noted)
        finally:
            current.reset(token)
            recorder.end(call, turn, path)

    return answer


def _mark(_: str, kind: str) -> None:
    if turn := current.get():
        turn.mended.add(kind)


def install() -> None:
    """Record the turns of this worker. Raises ``RuntimeError``, so that the worker stops."""
    from litellm.proxy.proxy_server import app
    from uvicorn import Server

    if app.middleware_stack is None:
        raise RuntimeError("LiteLLM calls its startup hooks before it builds its middleware")
    settings = json.loads((HERE / "usage.json").read_text("utf-8"))
    served = json.loads((HERE / "names.json").read_text("utf-8"))["served"]
    ledger = Ledger(os.environ["MIRRORFLEET_LEDGER"])
    recorder = Recorder(
        Writer(ledger, settings["rows"], settings["days"]),
        identity(settings["people"], os.environ["LITELLM_MASTER_KEY"]),
        served,
    )
    if (HERE / "mirrorfleet_mends.py").exists():
        import mirrorfleet_mends

        mirrorfleet_mends.counted.append(_mark)
    app.middleware_stack = recorded(app.middleware_stack, recorder)
    Server.shutdown = finishing(Server.shutdown, recorder)
    litellm.logging_callback_manager.add_litellm_callback(recorder)
    atexit.register(recorder.stop)
