"""The session that a new generation must answer, with real faults of a real vLLM."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet.roles.proof import program
from mirrorfleet.roles.vllm import render
from tests.lab import look
from tests.lab.hosts import BY_NAME

LAB = Path(__file__).parents[1]
KEY = "    api_key: {file: ../.lab/secrets/engine}\n"
FOLDER = "/srv/mirrorfleet-session"
LOOP = "{%- for message in messages -%}"
RAISES = """
  {%- if message.content is not string -%}
    {%- for block in message.content | default([], true) if block.type == 'tool_reference' -%}
      {{- raise_exception('Unexpected item type in content.') -}}
    {%- endfor -%}
  {%- endif -%}
"""
"""What the templates of some families do: they know text, images and videos only."""


@pytest.fixture(scope="module", autouse=True)
def _files() -> Iterator[None]:
    """Put a broken parser and a template that raises on the engine host; restore the lab."""
    template = (LAB / "tiny_model_template.jinja").read_text("utf-8")
    assert template.count(LOOP) == 1
    look.run("gpu", f"mkdir -p {FOLDER}")
    for name, text in (
        ("raises.jinja", template.replace(LOOP, LOOP + RAISES)),
        ("broken_stream_parser.py", (LAB / "broken_stream_parser.py").read_text("utf-8")),
    ):
        look.run("gpu", f"cat >{FOLDER}/{name}; chmod -R a+rX {FOLDER}", stdin=text)
    yield
    look.mirror()
    look.run("gpu", f"rm -rf {FOLDER}")


def generation() -> str:
    return look.run("gpu", "readlink /opt/mirrorfleet/vllm-tiny/current")


def mirrored(tmp_path: Path, old: str, new: str) -> tuple[int, str]:
    """Run the lab's fleet with one change; return the exit status and the output on one line."""
    done = look.mirror(fleet=look.variant(tmp_path, old, new))
    return done.returncode, " ".join(look.plain(done.stdout + done.stderr).split())


FAULTS = {
    "a cache that is never hit": (
        (KEY, f"{KEY}    arguments: {{enable-prefix-caching: false}}\n"),
        "its prefix cache is off. Remove enable-prefix-caching from models.tiny.arguments.",
    ),
    "a parser that breaks in streams only": (
        (
            "    family: hermes\n",
            "    tool_parser: hermes_without_streams\n"
            f"    arguments: {{tool-parser-plugin: {FOLDER}/broken_stream_parser.py}}\n",
        ),
        "the parser 'hermes_without_streams' recognizes only calls that are not streamed",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_a_later_turn_rolls_back_with_the_remedy(tmp_path: Path, name: str) -> None:
    (old, new), message = FAULTS[name]
    before = generation()
    code, output = mirrored(tmp_path, old, new)
    assert code == 1
    assert message in output
    assert "rolled back to" in output
    assert generation() == before
    assert look.message("gw-1", look.secret("developers"))[0] == 200


def test_a_template_that_raises_on_tool_references_is_mended_or_fails(tmp_path: Path) -> None:
    template = f"{{chat-template: {FOLDER}/raises.jinja}}"
    code, output = mirrored(tmp_path, KEY, f"{KEY}    arguments: {template}\n")
    assert code == 0, output
    assert "tiny: tool reference mended, by the clients' settings" in output
    recorded = json.loads(look.run("gpu", f"cat {record()}"))["tiny"]["outcomes"]
    states = {each["item"]: each["state"] for each in recorded}
    assert states["tool reference"] == "mended"
    # The same engine, for clients that send it, without a gateway that replaces it.
    code, output = asked({"remedies": {"tool reference": "Remove ENABLE_TOOL_SEARCH."}})
    assert code == 78
    assert (
        "tiny: refuses a tool reference in a result (400: Unexpected item type in content.). "
        "Remove ENABLE_TOOL_SEARCH."
    ) in output


def record() -> str:
    current = generation().strip().rpartition("/")[2]
    return f"/opt/mirrorfleet/vllm-tiny/proofs/{current}.json"


def asked(abilities: dict[str, Any]) -> tuple[int, str]:
    """Run the program of the proof on the engine host; return its exit status and output."""
    url = f"http://{BY_NAME['gpu'].address}:8000"
    text = program(render.FILES / "smoke_test.py")
    expected = json.dumps({"tools": True, "vision": False, "thinking": "none", **abilities})
    words = ["python3", "-I", "-c", text, url, render.USER, expected, "/dev/null"]
    enter = "cd /opt/mirrorfleet/vllm-tiny/current; set -a; . ./environment"
    output = look.run(
        "gpu", f"{enter}; {shlex.join(words)} <serves.json 2>&1; code=$?; echo; echo $code"
    )
    *lines, code = output.split("\n")[:-1]
    return int(code), "\n".join(lines)


def test_a_second_run_and_a_rollback_ask_no_session(tmp_path: Path) -> None:
    assert look.mirror().returncode == 0
    before = generation()
    assert "tool reference" not in look.plain(look.mirror().stdout)
    changed = look.variant(tmp_path, KEY, f"{KEY}    max_num_seqs: 4\n")
    done = look.mirror(fleet=changed)
    assert "tiny: prompt cache   ok, " in look.plain(done.stdout + done.stderr)
    # Only the engine: the gateways' former generations are those of other tests.
    inventory = str(changed.with_suffix(".py"))
    options = ("-y", "--limit", "gpu", "--data", "service=vllm-tiny")
    done = look.pyinfra(*options, inventory, "deploys/rollback.py")
    output = look.plain(done.stdout + done.stderr)
    assert done.returncode == 0, output
    assert "tiny: serves, with a KV cache" in output
    assert "prompt cache" not in output
    assert generation() == before
    look.mirror()
