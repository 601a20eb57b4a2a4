"""vLLM's own parsers, on what models write whose weights are too large for a lab."""

import json
import shlex
from pathlib import Path
from typing import Any

import yaml

from tests.lab import look, places

PROGRAM = Path(__file__).parents[1] / "parse.py"
FAMILIES = yaml.safe_load((places.REPOSITORY / "mirrorfleet/data/families.yml").read_text("utf-8"))

LATER = ("qwen3.5", "qwen3.6", "qwen3.8")

# As the chat template of Qwen3.5 and later has it: the prompt ends within <think>, a call is XML.
THOUGHT = "The user wants a note, so I call Bash.\n"
COMMAND = 'echo "<b>ready</b> & steady" > note.txt\necho done'
WRITTEN = f"""{THOUGHT}</think>

I leave it now.

<tool_call>
<function=Bash>
<parameter=command>
{COMMAND}
</parameter>
<parameter=timeout>
600
</parameter>
</function>
</tool_call>"""
TOOL = {
    "type": "function",
    "function": {
        "name": "Bash",
        "parameters": {
            "type": "object",
            "properties": {"command": {"type": "string"}, "timeout": {"type": "integer"}},
        },
    },
}


def read(family: str) -> dict[str, dict[str, Any]]:
    """Return what the parsers of a family make of it, at once and as a stream."""
    parsers = [FAMILIES[family][f"{kind}_parser"] for kind in ("tool", "reasoning")]
    said = json.dumps({"tool": TOOL, "written": WRITTEN})
    command = f"/opt/mirrorfleet/vllm/environments/*/bin/python - {shlex.join([*parsers, said])}"
    found: dict[str, dict[str, Any]] = json.loads(
        look.run("gpu", command, stdin=PROGRAM.read_text("utf-8")).splitlines()[-1]
    )
    return found


def test_thinking_and_calls_of_qwen3_5_and_later_are_told_apart() -> None:
    named = ("tool_parser", "reasoning_parser")
    alike = {tuple(FAMILIES[each][name] for name in named) for each in LATER}
    assert len(alike) == 1, "one of them stands for all"
    for made in read(LATER[0]).values():
        [[name, arguments]] = made["calls"]
        assert (made["thought"].strip(), made["text"].strip()) == (
            THOUGHT.strip(),
            "I leave it now.",
        )
        assert (name, json.loads(arguments)) == ("Bash", {"command": COMMAND, "timeout": 600})


def test_the_parsers_of_qwen3_see_no_call_in_it() -> None:
    made = read("qwen3")
    assert made["whole"]["calls"] == []
    assert "<function=Bash>" in made["whole"]["text"]
