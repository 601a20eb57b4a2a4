"""What the proof of the lab's engine recorded, and how verify shows it."""

from __future__ import annotations

import json

from tests.lab import look


def test_the_running_generation_has_a_record_of_its_session() -> None:
    current = look.run("gpu", "readlink /opt/mirrorfleet/vllm-tiny/current").strip()
    name = current.rpartition("/")[2]
    text = look.run("gpu", f"cat /opt/mirrorfleet/vllm-tiny/proofs/{name}.json")
    parts = {each["item"]: each for each in json.loads(text)["tiny"]["outcomes"]}
    for item in ("tool call", "tool result", "system message", "prompt cache"):
        assert parts[item]["state"] == "ok", parts[item]
    assert parts["tool reference"]["state"] in ("ok", "mended")
    assert int(parts["prompt cache"]["note"].split("%")[0]) > 90


def test_the_report_of_verify_has_the_record() -> None:
    inventory = str(look.FLEET.with_suffix(".py"))
    done = look.pyinfra(inventory, "deploys/verify.py", "--data", "report=-", "--limit", "gpu")
    [engine] = json.loads(done.stdout)["layers"]
    states = {part["item"]: part["state"] for part in engine["proofs"]["tiny"]}
    assert states["prompt cache"] == "ok"
