"""What the fleet file says about vLLM, on vLLM's command line and in its environment."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from mirrorfleet import fleet
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.vllm import render
from tests.roles import systemd

GOOD = Path(__file__).parents[1] / "fleet" / "good"


def engines() -> dict[str, VllmPlan]:
    hosts = fleet.plan(fleet.load(GOOD / "crowded.yml")).hosts
    return {engine.model: engine for engine in hosts["gpu"].engines_of(VllmPlan)}


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


def test_a_service_gets_its_options_as_the_fleet_file_has_them() -> None:
    """systemd expands % and $, and takes backslashes away: none of them changes an option."""
    options = {
        "hf-overrides": {"note": "100 %zz, $HOME, a --b \\ 'c'"},
        "generation-config": "/srv/${x} --y/%h\\\\z",
    }
    engine = replace(engines()["large"], arguments=options)
    unit = render.service(engine, "/e", "/w", None).unit
    given = systemd.arguments(unit, {"HOME": "/root"})
    assert given == ["/e/bin/vllm", "serve", "/w", *render.arguments(engine)]
    assert f"--hf-overrides={json.dumps(options['hf-overrides'])}" in given


def test_an_engine_gets_the_variables_of_the_fleet_file() -> None:
    [named, *others] = (
        fleet.plan(fleet.load(GOOD / "parsers.yml")).hosts["gpu"].engines_of(VllmPlan)
    )
    said = {"VLLM_USE_DEEP_GEMM": "0", "NCCL_DEBUG": "WARN"}
    assert said.items() <= render.variables(named, "/env", None).items()
    assert not any(said.keys() & render.variables(other, "/env", None).keys() for other in others)


@pytest.mark.parametrize("build", ["cuda", "cpu"])
def test_no_variable_that_is_derived_can_be_written(
    tmp_path: Path, build: Literal["cuda", "cpu"]
) -> None:
    engine = replace(engines()["large"], build=build, cuda_compat="/c")
    derived = render.variables(engine, "/env", "key").keys() - OURS_TO_TUNE
    written = dict.fromkeys(derived, "x")
    path = tmp_path / "fleet.yml"
    path.write_text(
        "version: 1\nname: x\nfirewall: none\nhosts: {gpu: {address: 10.0.0.2, gpus: {count: 1}}}\n"
        "models: {m: {engine: vllm, version: 0.32.0, weights: {path: /srv/m}, family: hermes, "
        f"hosts: [gpu], context: 65536, output: 8192, build: {build}, "
        f"environment: {json.dumps(written)}}}}}\n"
    )
    with pytest.raises(fleet.FleetError) as refused:
        fleet.load(path)
    told = {each.key[-1]: each.mistake for each in refused.value.problems}
    assert told == dict.fromkeys(derived, "cannot be set here.")


OURS_TO_TUNE = {"MAX_JOBS"}
"""Derived, and a fleet file may say otherwise."""


def test_an_engine_sees_its_own_gpus_only() -> None:
    said = {name: render.variables(engines()[name], "/env", None) for name in ("large", "pinned")}
    assert said["large"]["CUDA_VISIBLE_DEVICES"] == "1,2,3,4"
    assert said["pinned"]["CUDA_VISIBLE_DEVICES"] == "0,7"
