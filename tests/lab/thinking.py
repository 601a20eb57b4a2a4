"""Golden arguments of chat templates: what a family receives for each request of a client.

``thinking.yml`` has, by family and request, the arguments that the chat template receives. Requests
of a client have the keys of REQUESTS. After an intended change, write the file again:

    python -m tests.lab.thinking >tests/lab/thinking.yml
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from mirrorfleet.config.vllm import RunningVllmModel
from mirrorfleet.data import table
from mirrorfleet.engines.abilities import known_abilities
from mirrorfleet.engines.registry import engine_of
from mirrorfleet.engines.vllm.thinking import defaults
from mirrorfleet.roles.litellm.deployments import thinking_information
from mirrorfleet.roles.litellm.files.mirrorfleet_thinking import ARGUMENTS, translated

Case = dict[str, Any]

FILE = Path(__file__).with_suffix(".yml")
LEVELS = ("low", "medium", "high", "xhigh", "max")
ADAPTIVE = {"type": "adaptive"}

REQUESTS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "disabled": {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}},
    "adaptive": {"thinking": ADAPTIVE},
    **{level: {"thinking": ADAPTIVE, "output_config": {"effort": level}} for level in LEVELS},
}
"""The parameters of thinking that Claude Code sends; a level is sent with adaptive thinking."""


@cache
def golden() -> dict[str, dict[str, Any]]:
    """Return the content of the golden file."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text("utf-8"))
    return found


def model(family: str) -> RunningVllmModel:
    """Return a model of a family."""
    return RunningVllmModel(
        name=family,
        hosts=(),
        context=65536,
        output=8192,
        family=family,
        tool_parser=None,
        reasoning_parser=None,
    )


def cases() -> list[Case]:
    """Return every request of every family that thinks, as the engine receives it.

    ``family``, ``request``: as in the golden file. ``body``: the parameters in the request after
    the gateway. ``defaults``: the engine's --default-chat-template-kwargs.
    """
    found = []
    for family in table("families"):
        one = model(family)
        thinking = known_abilities(one).thinking.value
        switch = engine_of(one).thinking_arguments(one, thinking)
        if switch is None:
            continue
        for name, request in REQUESTS.items():
            changed = translated(thinking_information(switch), request)
            body = {key: value for key, value in changed.items() if value is not None}
            found.append(
                {
                    "family": family,
                    "request": name,
                    "body": body,
                    "defaults": dict(defaults(one, thinking)),
                }
            )
    return found


def received(case: Case) -> dict[str, Any]:
    """Return what vLLM makes of a request; tests/lab/convert.py asks vLLM itself."""
    effort = case["body"].get("output_config", {}).get("effort")
    if case["body"].get("thinking") == {"type": "disabled"}:
        effort = "none"
    own = (
        {} if effort is None else {"reasoning_effort": effort, "enable_thinking": effort != "none"}
    )
    return {**case["defaults"], **case["body"].get(ARGUMENTS, {}), **own}


def by_family(answers: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the answers to all cases, as the golden file has them."""
    found: dict[str, dict[str, Any]] = {}
    for case, answer in zip(cases(), answers, strict=True):
        found.setdefault(case["family"], {})[case["request"]] = answer
    return found


if __name__ == "__main__":
    content = by_family([received(case) for case in cases()])
    for family, requests in content.items():
        print(f"{family}:")
        for request, arguments in requests.items():
            line = yaml.safe_dump(arguments, default_flow_style=True, width=1000).strip()
            print(f"  {request}: {line}")
