"""What the models of each family write, and what a client must receive of it.

One file per family of mirrorfleet/data/families.yml:

    tokens, special   texts that the model's tokenizer has as one token, ordinary and special ones
    texts             more texts whose words its vocabulary has
    cases:
    - name, prompt, written   the end of the prompt, and what the model writes after it
      kwargs                  the arguments of the chat template; default: none
      faults                  per way of WAYS: what vLLM 0.32.0 gets wrong; a fault of "streamed"
                              is one of "in steps", too
      not_streamed            why a lab cannot parse it as a stream
      thought, text           what a client receives; default: THOUGHT and TEXT
      calls                   how many of CALLS it receives; default: 1
    at_once           true: a streamed call arrives whole, when the model has written all of it

The texts follow the model's chat template, or the format that vLLM's parser documents.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

Case = dict[str, Any]

FOLDER = Path(__file__).parent
FAMILIES: dict[str, dict[str, Any]] = yaml.safe_load(
    (FOLDER.parents[2] / "mirrorfleet/data/families.yml").read_text("utf-8")
)

# How many tokens the parsers receive at a time; 0: all, without a stream. With speculative decoding
# they receive several.
WAYS = {"whole": [0], "streamed": [1], "in steps": list(range(2, 10))}
THOUGHT = "The user needs a note, so I call Bash."
TEXT = "I leave it now."
COMMAND = 'echo "<b>ready</b> & steady" > note.txt\necho done'
CALLS = [["Bash", {"command": COMMAND, "timeout": 600}], ["Bash", {"command": "ls", "timeout": 5}]]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "Bash",
            "parameters": {
                "type": "object",
                "properties": {"command": {"type": "string"}, "timeout": {"type": "integer"}},
            },
        },
    }
]

# Families whose parsers need more than a lab has, each with the reason.
LEFT_OUT = {
    "cohere-command": "Its parsers need the package cohere-melody, which no lock of vLLM holds.",
    "plain": "It has no parsers.",
}

# Families that a person can take for each other: the parsers of the second misread the first.
MISTAKEN = (("qwen3.6", "qwen3"), ("qwen3-instruct", "qwen3"), ("kimi-k2-instruct", "kimi-k2"))


def cases() -> list[Case]:
    """Return the cases of all families, as tests/lab/parse.py takes them."""
    each = [
        _case(file.stem, content, case)
        for file in sorted(FOLDER.glob("*.yml"))
        for content in [yaml.safe_load(file.read_text("utf-8"))]
        for case in content["cases"]
    ]
    return each + [_mistaken(each, family, other) for family, other in MISTAKEN]


def name(case: Case) -> str:
    """Return the name under which tests/lab/parse.py answers."""
    return f"{case['family']}: {case['name']}"


def _mistaken(each: list[Case], family: str, other: str) -> Case:
    """Return the first case of a family, with the parsers of another."""
    case = next(case for case in each if case["family"] == family)
    fault = f"The parsers of {other} misread it."
    return {
        **case,
        **_parsers(other),
        "name": f"{case['name']}, parsed as {other}",
        "tokens": [*case["tokens"], "<think>", "</think>"],
        "faults": dict.fromkeys(WAYS, fault),
    }


def _parsers(family: str) -> Case:
    return {key: FAMILIES[family].get(key) for key in ("tool_parser", "reasoning_parser")}


def _case(family: str, content: Case, case: Case) -> Case:
    return {
        "family": family,
        "tools": TOOLS,
        "tokens": content.get("tokens", []),
        "special": content.get("special", []),
        "texts": content.get("texts", []),
        "kwargs": {},
        "at_once": content.get("at_once", False),
        "ways": {"whole": [0]} if "not_streamed" in case else WAYS,
        **_parsers(family),
        **case,
    }


def differences(case: Case, answer: dict[str, Any]) -> list[str]:
    """Return how the answer of tests/lab/parse.py differs from what the case expects.

    A fault that the case names must be there: when a release of vLLM mends it, its note must go.
    """
    if "error" in answer:
        return [answer["error"]]
    faults = case.get("faults", {})
    if "streamed" in faults:
        faults = {"in steps": faults["streamed"], **faults}
    found = []
    for way, received in answer.items():
        wrong = {f"{way}: {each}" for one in received for each in _wrong(case, one)}
        if way not in faults:
            found += sorted(wrong)
        elif not wrong:
            found.append(f"{way}: vLLM no longer has the fault: {faults[way]}")
    if "streamed" in answer and "streamed" not in faults:
        found += _pace(case, answer["streamed"][0])
    return found


def _wrong(case: Case, received: dict[str, Any]) -> list[str]:
    """Return the parts that differ, without the white space around them; arguments as values."""
    parts = (
        ("thought", received["thought"].strip(), case.get("thought", THOUGHT)),
        ("text", received["text"].strip(), case.get("text", TEXT)),
        (
            "calls",
            [[name, _value(arguments)] for name, arguments in received["calls"]],
            CALLS[: case.get("calls", 1)],
        ),
    )
    return [
        f"{part} is {value!r}, expected {expected!r}"
        for part, value, expected in parts
        if value != expected
    ]


def _pace(case: Case, received: dict[str, Any]) -> list[str]:
    """Return whether the arguments of a streamed call arrive in another pace than expected."""
    if not received["calls"]:
        return []
    at_once = json.dumps(COMMAND) in received["longest"]
    return [] if at_once is case["at_once"] else [f"streamed: at_once is {at_once}"]


def _value(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return f"no JSON: {arguments}"
