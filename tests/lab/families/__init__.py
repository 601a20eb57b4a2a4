"""Golden cases: the output of each model family, and what a client must receive.

One file per family of mirrorfleet/data/families.yml:

    tokens, special   texts that are one token for the model's tokenizer, ordinary and special ones
    texts             more texts to learn the vocabulary from
    cases:
    - name, prompt, written   the end of the prompt, and the model's output after it
      kwargs                  the arguments of the chat template; default: none
      faults                  per way of WAYS: a fault of vLLM 0.32.0; a fault of "streamed" is
                              also one of "in steps"
      not_streamed            the reason why a lab cannot parse it as a stream
      thought, text           the expected text for the client; default: THOUGHT and TEXT
      calls                   the expected number of CALLS; default: 1
    at_once           true: a streamed call arrives in one piece, once the model has completed it

The texts follow the model's chat template, or the documented format of vLLM's parser.
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

# The number of tokens that the parsers receive at a time; 0: all, without a stream. With
# speculative decoding it is several.
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

# Families that a lab cannot parse, each with the reason.
LEFT_OUT = {
    "cohere-command": "Its parsers need the package cohere-melody, not in vLLM's lock files.",
    "plain": "It has no parsers.",
}

# Families that are easily confused: the parsers of the second misread the first.
MISTAKEN = (("qwen3.6", "qwen3"), ("qwen3-instruct", "qwen3"), ("kimi-k2-instruct", "kimi-k2"))


def cases() -> list[Case]:
    """Return the cases of all families, in the format of tests/lab/parse.py."""
    found = [
        _case(file.stem, content, case)
        for file in sorted(FOLDER.glob("*.yml"))
        for content in [yaml.safe_load(file.read_text("utf-8"))]
        for case in content["cases"]
    ]
    return found + [_mistaken(found, family, other) for family, other in MISTAKEN]


def name(case: Case) -> str:
    """Return the name of a case in the output of tests/lab/parse.py."""
    return f"{case['family']}: {case['name']}"


def _mistaken(known: list[Case], family: str, other: str) -> Case:
    """Return the first case of a family, with the parsers of another."""
    case = next(case for case in known if case["family"] == family)
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
    """Return the differences between the output of tests/lab/parse.py and the case.

    A fault in the case must occur: when a release of vLLM fixes it, remove it from the case.
    """
    if "error" in answer:
        return [answer["error"]]
    faults = case.get("faults", {})
    if "streamed" in faults:
        faults = {"in steps": faults["streamed"], **faults}
    found = []
    for way, received in answer.items():
        wrong = {f"{way}: {fault}" for one in received for fault in _wrong(case, one)}
        if way not in faults:
            found += sorted(wrong)
        elif not wrong:
            found.append(f"{way}: vLLM no longer has the fault: {faults[way]}")
    if "streamed" in answer and "streamed" not in faults:
        found += _pace(case, answer["streamed"][0])
    return found


def _wrong(case: Case, received: dict[str, Any]) -> list[str]:
    """Return the parts that differ; ignore surrounding white space, compare arguments as values."""
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
    """Return a line if ``at_once`` of the case is wrong, else none."""
    if not received["calls"]:
        return []
    at_once = json.dumps(COMMAND) in received["longest"]
    return [] if at_once is case["at_once"] else [f"streamed: at_once is {at_once}"]


def _value(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return f"no JSON: {arguments}"
