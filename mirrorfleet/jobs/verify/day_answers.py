"""Pure: the requests of a day for curl, and what matters of each answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from mirrorfleet.jobs.verify import day_turns
from mirrorfleet.jobs.verify.day import Day, Json
from mirrorfleet.roles.proof.files.api import Refused, assembled, tokens

BETAS = (
    "claude-code-20250219,advanced-tool-use-2025-11-20,context-management-2025-06-27,"
    "effort-2025-11-24,interleaved-thinking-2025-05-14"
)

LENGTH = 600
"""Maximum length of an error's message in characters."""

PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")


def requests(day: Day) -> Iterator[tuple[str, str]]:
    """Yield item and body of each request for a model. The second turn comes last."""
    expected = {**asdict(day), "thinks": day.thinks}
    groups = list(day_turns.requests(expected))
    for group in [group[:1] for group in groups] + [group[1:] for group in groups]:
        for item, body in group:
            yield item, json.dumps({"model": day.model, **body, "stream": True})


def headers(environment: Mapping[str, str]) -> str:
    """Return the headers of each request, one a line; the key is not among them."""
    own = environment.get("ANTHROPIC_CUSTOM_HEADERS", "").splitlines()
    fixed = ("content-type: application/json", "anthropic-version: 2023-06-01", "expect:")
    return "\n".join([*fixed, f"anthropic-beta: {BETAS}", *(line for line in own if ":" in line)])


def answer(model: str, item: str, code: int, output: str, error: str) -> Json:
    """Return what matters of the output of `curl -i`. The status is 0 without an answer."""
    found: Json = {"model": model, "item": item, "status": 0, "message": " ".join(error.split())}
    head, body = "", output.replace("\r\n", "\n")
    while body.startswith("HTTP/"):  # of a proxy, and "100 Continue", before the answer's own
        head, _, body = body.partition("\n\n")
    if code or not head:
        found["message"] = found["message"] or f"curl ends with {code}"
        return found
    first, *lines = head.splitlines()
    status = int(first.split()[1])
    fields = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    if status != 200:
        return {**found, "status": status, "message": _message(body)}
    try:
        message = assembled(line.encode() for line in body.splitlines())
        count, cached = tokens(message)
    except Refused as refused:
        return {**found, "status": 200, "message": refused.reason}
    except (ValueError, LookupError, TypeError, AttributeError) as wrong:
        return {**found, "status": 200, "message": f"no message: {wrong!r}"}
    blocks = [block for block in message["content"] if isinstance(block, dict)]
    attempted = fields.get("x-litellm-attempted-fallbacks", "")
    return {
        **found,
        "status": 200,
        "message": "",
        "blocks": [str(block.get("type")) for block in blocks],
        "errors": [str(error) for error in map(_search_error, blocks) if error],
        "tokens": count,
        "cached": cached,
        "by": fields.get("x-litellm-model-group", ""),
        "fallbacks": int(attempted) if attempted.isdecimal() else 0,
    }


def _message(content: str) -> str:
    """Return the beginning of an error's message: LiteLLM adds to its end."""
    with suppress(ValueError, LookupError, TypeError):
        content = str(json.loads(content)["error"]["message"])
    return " ".join(content.split())[:LENGTH]


def _search_error(block: Json) -> Any:
    """Return the error in the result of a web search."""
    content = block.get("content")
    if block.get("type") == "web_search_tool_result" and isinstance(content, dict):
        return content.get("error_code") or "no results"
    text = str(block.get("text") or "")
    return text[:200] if text.startswith("Search failed") else None
