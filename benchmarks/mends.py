"""The CPU time of what the gateway mends in a request: python -m benchmarks.mends"""

from __future__ import annotations

import json
import timeit
from collections.abc import Callable
from time import process_time
from typing import Any

from mirrorfleet.roles.litellm.files import mirrorfleet_content as content
from mirrorfleet.roles.litellm.files import mirrorfleet_tool_schemas as tool_schemas

ROUNDS = 200
ABLE = content.Abilities("coder", vision=False, documents=False)


def conversation() -> list[dict[str, Any]]:
    """Return 200 messages: calls of tools, and results of 2 kB."""
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "row\n" * 500}
    call = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"path": "/a"}}
    pair = [{"role": "user", "content": [result]}, {"role": "assistant", "content": [call]}]
    return pair * 100


def tools() -> list[dict[str, Any]]:
    """Return 21 tools of 3 kB, as Claude Code sends them without tool search."""
    part = {"type": "string", "description": "A path. " * 8}
    schema = {"type": "object", "properties": {f"p{at}": part for at in range(8)}}
    return [{"name": "Read", "description": "d" * 2000, "input_schema": schema}] * 21


def milliseconds(function: Callable[[], object]) -> float:
    """Return the CPU time of a call."""
    return timeit.timeit(function, process_time, number=ROUNDS) / ROUNDS * 1000


def main() -> None:
    """Print the CPU times."""
    messages, offered = conversation(), tools()
    asked = milliseconds(lambda: content.refusal(messages, ABLE))
    mended = milliseconds(lambda: content.mended(messages, ABLE))
    schemas = milliseconds(lambda: tool_schemas.mended(offered))
    dumped = milliseconds(lambda: json.dumps([messages, offered]))
    for name, spent in {"200 messages": asked + mended, "21 tools": schemas}.items():
        print(f"{name}: {spent:.2f} ms, {spent / dumped:.2f} times json.dumps of the request")


if __name__ == "__main__":
    main()
