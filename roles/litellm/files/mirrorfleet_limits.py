"""Apply the limits and budgets of limits.json to every turn of a developer's key.

It runs after mirrorfleet_requests.py and before LiteLLM, on every path on which a developer's key
can spend:

- a spent budget refuses turns and token counts: 429 `billing_error` with `x-should-retry: false`,
  so that Claude Code stops at once and shows the sentence. Turns that run may finish, and their
  tokens count when they end;
- a turn over a limit is refused with 429 `rate_limit_error` and `retry-after`, and Claude Code
  tries again. Token counts generate nothing, and have no limit;
- a budget that is nearly spent adds the header `x-mirrorfleet-budget` to the answer.

A fallback into a model whose budget is spent is refused as well. `GET /mirrorfleet/usage` returns
what the key's holder has used. The master key and virtual keys have no limits here.

LiteLLM calls `install` in every worker when it starts (LITELLM_WORKER_STARTUP_HOOKS).
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirrorfleet_requests import refuse
from prometheus_client import Counter

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mirrorfleet.roles.litellm.files import mirrorfleet_allowlist as allowlist
    from mirrorfleet.roles.litellm.files.mirrorfleet_budgets import (
        TURN,
        Budgets,
        Turn,
        refusal,
        warning,
    )
    from mirrorfleet.roles.litellm.files.mirrorfleet_key_file import Refused
    from mirrorfleet.roles.litellm.files.mirrorfleet_limits_file import Limit, LimitsFile, Spender
    from mirrorfleet.roles.litellm.files.mirrorfleet_own_usage import report
    from mirrorfleet.roles.litellm.files.mirrorfleet_rates import Exceeded, Rates
    from mirrorfleet.roles.litellm.files.mirrorfleet_shared_redis import shared
    from mirrorfleet.roles.litellm.files.mirrorfleet_spending import Spending
    from mirrorfleet.roles.litellm.files.mirrorfleet_totals import Totals
    from mirrorfleet.roles.litellm.files.mirrorfleet_usage_turn import identity
else:
    import mirrorfleet_allowlist as allowlist
    from mirrorfleet_budgets import TURN, Budgets, Turn, refusal, warning
    from mirrorfleet_key_file import Refused
    from mirrorfleet_limits_file import Limit, LimitsFile, Spender
    from mirrorfleet_own_usage import report
    from mirrorfleet_rates import Exceeded, Rates
    from mirrorfleet_shared_redis import shared
    from mirrorfleet_spending import Spending
    from mirrorfleet_totals import Totals
    from mirrorfleet_usage_turn import identity

Json = dict[str, Any]

REFUSED_TURNS = Counter(
    "mirrorfleet_limit_refused", "Turns refused because of a limit", ["limit", "kind"]
)

PUBLICATION = 1.0
"""Seconds between two publications of changed amounts."""

COMPLETE = 10
"""Of so many publications, one has all amounts: Redis may have lost them."""

BUSY = 2
"""Seconds after which a client may try again if too many turns run: one of them may end soon."""


def limited(
    app: ASGIApp, budgets: Budgets, rates: Rates, recorded: Callable[[str], str]
) -> ASGIApp:
    """Return an application that passes turns within limits and budgets to ``app``.

    ``recorded`` returns the name of a person in the ledger.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        key = scope.get(allowlist.KEY)
        if key is None:
            await app(scope, receive, send)
            return
        spender, path = Spender(key.name, recorded(key.name), key.group), scope["path"]
        number, limits = uuid.uuid4().hex, list[Limit]()
        try:
            rules = budgets.rules()
            if path == allowlist.USAGE:
                await _send_json(send, await report(budgets, spender))
                return
            if allowlist.REQUESTED not in scope:  # lists, and MCP servers
                await app(scope, receive, send)
                return
            model = rules.model(path, scope[allowlist.REQUESTED])
            states = await budgets.states(spender, model)
            if refused := refusal(states):
                raise refused
            if not path.endswith(COUNT):
                limits = list(rules.limits_of(spender.person, spender.group, model))
            if limits and (exceeded := await rates.admit(number, limits)):
                limits = []
                raise over(exceeded)
            turn = Turn(spender, model)
            TURN.set(turn)
            await app(scope, receive, _answering(scope, send, turn, warning(states)))
        except Refused as refused:
            await refuse(scope, send, refused)
        finally:
            if limits:
                await rates.release(number, limits)

    return answer


COUNT = "/count_tokens"
"""The end of the paths of token counts."""


def _answering(scope: Scope, send: Send, turn: Turn, warned: str) -> Send:
    """Return ``send`` that adds a warning, or replaces an error by the refusal of a fallback."""
    is_replaced = False

    async def send_turn(message: Message) -> None:
        nonlocal is_replaced
        if message["type"] == "http.response.start":
            if turn.refused and message["status"] >= 400:
                is_replaced = True
                await refuse(scope, send, turn.refused)
            elif warned:
                header = (b"x-mirrorfleet-budget", warned.encode())
                message = {**message, "headers": [*message.get("headers", ()), header]}
        if not is_replaced:
            await send(message)

    return send_turn


def over(exceeded: Exceeded) -> Refused:
    """Return the answer to a turn over a limit."""
    limit, is_rate, wait = exceeded
    kind, _, name = limit.subject.partition(":")
    REFUSED_TURNS.labels(kind, "requests_per_minute" if is_rate else "parallel").inc()
    subject = {"fleet": "this fleet", "person": name}.get(kind, f"the {kind} {name}")
    if is_rate:
        seconds = max(1, math.ceil(wait))
        most = f"{limit.requests_per_minute} requests per minute"
    else:
        seconds, most = BUSY, f"{limit.parallel} requests at the same time"
    text = f"The limit of {subject} is {most}. Try again in {seconds} s."
    return Refused(429, text, "rate_limit_error", {"retry-after": str(seconds)})


async def _send_json(send: Send, content: Json) -> None:
    body = json.dumps(content).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _publish(budgets: Budgets) -> None:
    """Publish what is used here, as long as the worker runs."""
    number = 0
    while True:
        await budgets.publish(everything=number % COMPLETE == 0)
        number += 1
        await asyncio.sleep(PUBLICATION)


_tasks: list[asyncio.Task[None]] = []
"""Running tasks: the event loop itself holds no reference to them."""


def install() -> None:
    """Limit the turns of this worker. Raises ``RuntimeError``, so that the worker stops."""
    import mirrorfleet_fallback_budgets
    from litellm.proxy.proxy_server import app

    if app.middleware_stack is None:
        raise RuntimeError("LiteLLM calls its startup hooks before it builds its middleware")
    path = os.environ.get("MIRRORFLEET_LEDGER")
    ledger = Path(path) if path else None
    recorded: Callable[[str], str] = str
    if ledger:
        settings = json.loads(Path(__file__).with_name("usage.json").read_text(encoding="utf-8"))
        recorded = identity(settings["people"], os.environ["LITELLM_MASTER_KEY"])
    redis = shared()
    file = LimitsFile(Path(os.environ["MIRRORFLEET_KEYS"]) / "limits.json")
    totals = Totals(Spending(ledger), redis, os.environ["MIRRORFLEET_GATEWAY"])
    budgets = Budgets(file, totals)
    budgets.update()
    app.middleware_stack = limited(app.middleware_stack, budgets, Rates(redis), recorded)
    mirrorfleet_fallback_budgets.install(budgets)
    if redis:
        _tasks.append(asyncio.get_running_loop().create_task(_publish(budgets)))
