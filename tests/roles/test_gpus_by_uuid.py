"""GPUs by UUID and MIG slices: what nvidia-smi prints, and what an engine gets of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet import fleet
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.vllm import cards, command_line, gpus
from mirrorfleet.roles.vllm.facts import NamedDevice, NamedDevices, WeightsSize
from mirrorfleet.runtime.facts import Content, Gpus
from mirrorfleet.runtime.observe import Observation
from tests.roles.answers import with_values
from tests.roles.machine import Machine

GOOD = Path(__file__).parents[1] / "fleet" / "good"
GIB = 1024**3

WHOLE = "GPU-8c7c9c30-f12f-20bf-e14e-d3c4c965af32"
DIVIDED = "GPU-7f57f032-34ab-a064-c37c-7a4f75601cc5"
SLICE = "MIG-377e0049-554c-540b-93c6-d0976f8426cb"
OTHER = "MIG-f39aa248-6f1b-5769-b119-8d650bb34b27"

LIST = f"""\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: {DIVIDED})
  MIG 2g.20gb     Device  0: (UUID: {SLICE})
  MIG 1g.10gb+me  Device  1: (UUID: {OTHER})
GPU 1: NVIDIA H100 80GB HBM3 (UUID: {WHOLE})"""
"""The output of `nvidia-smi -L` on two H100, the first of them divided: vLLM's issue 41848."""

QUERY = "0, 81559, 580.105.08, 9.0\n1, 81559, 580.105.08, 9.0"

CONFIG = {
    "num_hidden_layers": 48,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
}


@pytest.fixture
def host(tmp_path: Path) -> Machine:
    """A host with these GPUs."""
    machine = Machine(tmp_path)
    smi = f"case $1 in -L) cat <<'END'\n{LIST}\nEND\n;; *) cat <<'END'\n{QUERY}\nEND\n;; esac"
    machine.add("nvidia-smi", smi)
    return machine


def plan_of(name: str) -> HostPlan:
    return fleet.plan(fleet.load(GOOD / "shared-gpus.yml")).hosts[name]


def engine_of(plan: HostPlan, model: str) -> VllmPlan:
    return next(each for each in plan.engines_of(VllmPlan) if each.model == model)


def problems(
    machine: Machine, model: str, weights: int = 1, plan: HostPlan | None = None, **other: Any
) -> list[str]:
    """Return the problems of a model whose weights have so many GiB."""
    plan = plan or plan_of("mig")
    engine = replace(engine_of(plan, model), **other)
    engines = tuple(engine if each.model == model else each for each in plan.engines_of(VllmPlan))
    plan, place = replace(plan, engines=engines), engine.weights.source
    observed = with_values(
        machine.observe(Gpus(), NamedDevices()),
        {
            WeightsSize(place): weights * GIB,
            Content(f"{place}/config.json"): json.dumps(CONFIG).encode(),
            **{each: each.value([]) for each in _rest(plan, engine)},
        },
    )
    found = gpus.problems(plan, engine, engine.lock, place, observed)
    return [str(each).removeprefix(": ") for each in found]


def _rest(plan: HostPlan, engine: VllmPlan) -> Iterator[Any]:
    """Yield the facts of other things than GPUs and weights."""
    for each in gpus.facts(plan, engine, engine.weights.source):
        if not isinstance(each, Gpus | NamedDevices | WeightsSize | Content):
            yield each


def test_the_list_of_the_driver_is_read_with_its_slices(host: Machine) -> None:
    assert host.observe(NamedDevices())[NamedDevices()] == (
        NamedDevice(DIVIDED, 0),
        NamedDevice(SLICE, 0, 0, 20 * GIB),
        NamedDevice(OTHER, 0, 1, 10 * GIB),
        NamedDevice(WHOLE, 1),
    )


def test_a_host_without_the_driver_has_no_names(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert machine.observe(NamedDevices("no-such-program"))[NamedDevices("no-such-program")] == ()


def test_only_hosts_with_uuids_in_the_file_are_asked_for_names() -> None:
    for name, asked in (("gpu", False), ("mig", True)):
        plan = plan_of(name)
        engine = plan.engines_of(VllmPlan)[0]
        assert (NamedDevices() in gpus.facts(plan, engine, "/w")) is asked


def test_cuda_gets_the_names_of_the_fleet_file() -> None:
    engines = {
        each.model: each for host in ("gpu", "mig") for each in plan_of(host).engines_of(VllmPlan)
    }
    visible = {
        name: command_line.variables(each, "/e", None)["CUDA_VISIBLE_DEVICES"]
        for name, each in engines.items()
    }
    assert visible == {"coder": "0,1", "small": "1", "whole": WHOLE, "slice": SLICE}


def test_a_gpu_and_a_slice_that_exist_are_accepted(host: Machine) -> None:
    assert problems(host, "whole", weights=50) == []
    assert problems(host, "slice") == []


def test_missing_ones_are_named_with_those_that_exist(host: Machine) -> None:
    missing = WHOLE.replace("8c7c", "ffff")
    assert problems(host, "whole", devices=(missing,)) == [
        f"'whole' needs {missing}, which mig does not have. nvidia-smi -L lists {DIVIDED}, "
        f"{SLICE}, {OTHER}, {WHOLE}. Correct models.whole.devices."
    ]


def test_the_memory_is_that_of_the_slice(host: Machine) -> None:
    [reason] = problems(host, "slice", weights=25)
    assert "A GPU has 20.0 GiB x 0.9 = 18.0 GiB." in reason
    [reason] = problems(host, "whole", weights=80)
    assert "A GPU has 79.6 GiB x 0.9 = 71.7 GiB." in reason


def test_one_gpu_by_index_and_by_uuid_is_found(host: Machine) -> None:
    assert problems(host, "slice", devices=(1,)) == [
        f"'slice' needs GPU 1, which is {WHOLE} of 'whole'. Assign each GPU to one model; to "
        "share it, write the same name at both."
    ]


def test_a_divided_gpu_needs_the_name_of_a_slice(host: Machine) -> None:
    [reason] = problems(host, "whole", devices=(DIVIDED,))
    assert reason.startswith(f"'whole' needs {DIVIDED}, which is divided into MIG slices.")
    [reason] = problems(host, "slice", devices=(0,))
    assert reason.startswith("'slice' needs GPU 0, which is divided into MIG slices.")


def test_a_slice_that_vllm_may_not_look_up_is_a_warning(host: Machine) -> None:
    assert problems(host, "slice", devices=(OTHER,)) == [], "there is a GPU 1"
    third = f"printf '%s\\n' '{LIST}' | sed 's/Device  1/Device  2/'"
    host.add("nvidia-smi", f"case $1 in -L) {third} ;; *) echo '{QUERY}' ;; esac")
    [warning] = problems(host, "slice", devices=(OTHER,))
    assert warning.startswith("warning: 'slice' uses MIG slice 2 of GPU 0: vLLM 0.32.0 looks up")


def test_a_gpu_that_has_failed_is_not_a_traceback(host: Machine) -> None:
    """The list can have a GPU that the query does not have: its memory is unknown."""
    host.add(
        "nvidia-smi", f"case $1 in -L) echo '{LIST}' ;; *) echo '{QUERY.splitlines()[0]}' ;; esac"
    )
    plan = plan_of("mig")
    observed: Observation = host.observe(Gpus(), NamedDevices())
    assert cards.cards(engine_of(plan, "whole"), observed) == [cards.Card(1, 0)]
    assert problems(host, "whole") == []
