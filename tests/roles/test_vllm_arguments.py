"""The command line and the environment of vLLM, from the fleet file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from mirrorfleet import fleet
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.vllm import command_line, render
from tests.roles import systemd

GOOD = Path(__file__).parents[1] / "fleet" / "good"


def engines() -> dict[str, VllmPlan]:
    hosts = fleet.plan(fleet.load(GOOD / "crowded.yml")).hosts
    return {engine.model: engine for engine in hosts["gpu"].engines_of(VllmPlan)}


def test_options_of_a_split_and_quantized_model() -> None:
    arguments = command_line.arguments(engines()["large"])
    assert {
        "--tensor-parallel-size=2",
        "--pipeline-parallel-size=2",
        "--quantization=fp8",
        "--kv-cache-dtype=fp8",
        "--max-num-seqs=64",
        "--tool-call-parser=glm47",
        "--reasoning-parser=glm45",
    } <= set(arguments)


def test_further_options_in_the_form_of_vllm() -> None:
    arguments = command_line.arguments(engines()["large"])
    assert arguments[-3:] == [
        "--enable-expert-parallel",
        "--no-enable-prefix-caching",
        '--compilation-config={"level": 3}',
    ]


def test_options_without_a_value_are_left_out() -> None:
    command = " ".join(command_line.arguments(engines()["small"]))
    for option in ("dtype", "quantization", "pipeline", "data-parallel", "max-num-seqs"):
        assert f"--{option}" not in command


def test_systemd_passes_options_unchanged() -> None:
    """systemd expands % and $, and removes backslashes; the unit escapes them."""
    options = {
        "hf-overrides": {"note": "100 %zz, $HOME, a --b \\ 'c'"},
        "generation-config": "/srv/${x} --y/%h\\\\z",
    }
    engine = replace(engines()["large"], arguments=options)
    unit = render.service(engine, "/e", "/w", None).unit
    given = systemd.arguments(unit, {"HOME": "/root"})
    assert given == ["/e/bin/vllm", "serve", "/w", *command_line.arguments(engine)]
    assert f"--hf-overrides={json.dumps(options['hf-overrides'])}" in given


def test_an_engine_gets_the_variables_of_the_fleet_file() -> None:
    [named, *others] = (
        fleet.plan(fleet.load(GOOD / "parsers.yml")).hosts["gpu"].engines_of(VllmPlan)
    )
    variables = {"VLLM_USE_DEEP_GEMM": "0", "NCCL_DEBUG": "WARN"}
    assert variables.items() <= command_line.variables(named, "/env", None).items()
    assert not any(
        variables.keys() & command_line.variables(other, "/env", None).keys() for other in others
    )


@pytest.mark.parametrize("build", ["cuda", "cpu"])
def test_derived_variables_are_refused_in_the_fleet_file(
    tmp_path: Path, build: Literal["cuda", "cpu"]
) -> None:
    engine = replace(engines()["large"], build=build, cuda_compat="/c")
    derived = command_line.variables(engine, "/env", "key").keys() - TUNABLE
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
    mistakes = {problem.key[-1]: problem.mistake for problem in refused.value.problems}
    assert mistakes == dict.fromkeys(derived, "cannot be set here.")


TUNABLE = {"MAX_JOBS"}
"""Derived variables that a fleet file may override."""


def test_an_engine_uses_its_own_gpus_only() -> None:
    variables = {
        name: command_line.variables(engines()[name], "/env", None) for name in ("large", "pinned")
    }
    assert variables["large"]["CUDA_VISIBLE_DEVICES"] == "1,2,3,4"
    assert variables["pinned"]["CUDA_VISIBLE_DEVICES"] == "0,7"
