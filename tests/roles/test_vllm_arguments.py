"""What the fleet file says about vLLM, on vLLM's command line and in its environment."""

from __future__ import annotations

from pathlib import Path

import fleet
from fleet.plan import VllmPlan
from roles.vllm import render

GOOD = Path(__file__).parents[1] / "fleet" / "good"


def engines() -> dict[str, VllmPlan]:
    hosts = fleet.plan(fleet.load(GOOD / "crowded.yml")).hosts
    return {engine.model: engine for engine in hosts["gpu"].engines}


def test_a_model_that_is_split_and_compressed() -> None:
    said = render.arguments(engines()["large"])
    assert {
        "--tensor-parallel-size=2",
        "--pipeline-parallel-size=2",
        "--quantization=fp8",
        "--kv-cache-dtype=fp8",
        "--max-num-seqs=64",
        "--tool-call-parser=glm47",
        "--reasoning-parser=glm45",
    } <= set(said)


def test_further_options_as_vllm_writes_them() -> None:
    said = render.arguments(engines()["large"])
    assert said[-3:] == [
        "--enable-expert-parallel",
        "--no-enable-prefix-caching",
        '--compilation-config={"level": 3}',
    ]


def test_what_is_not_said_is_left_to_vllm() -> None:
    said = " ".join(render.arguments(engines()["small"]))
    for option in ("dtype", "quantization", "pipeline", "data-parallel", "max-num-seqs"):
        assert f"--{option}" not in said


def test_an_engine_sees_its_own_gpus_only() -> None:
    assert render.variables(engines()["large"], None)["CUDA_VISIBLE_DEVICES"] == "1,2,3,4"
    assert render.variables(engines()["pinned"], None)["CUDA_VISIBLE_DEVICES"] == "0,7"
