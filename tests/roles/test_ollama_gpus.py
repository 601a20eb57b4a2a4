"""The GPUs of an Ollama: UUIDs, and what is wrong with them on a host."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.ollama import OllamaPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.ollama import gpus, render
from mirrorfleet.roles.ollama.role import Ollama
from mirrorfleet.runtime.facts import Exists, Fact, Gpu, GpuReport, Gpus
from mirrorfleet.runtime.observe import Observation, assumed
from tests.roles.answers import MACHINE, bare, observation_of, uuid, with_values
from tests.roles.conftest import Planned
from tests.roles.fleets import good

GPUS = tuple(Gpu(1, "580.95.05", "9.0", uuid(at)) for at in range(4))


def server(plan: HostPlan, *devices: int | str) -> OllamaPlan:
    [found] = plan.engines_of(OllamaPlan)
    return replace(found, devices=devices)


def seen(*found: Gpu, message: str = "", other: str = "") -> Observation:
    values: dict[Fact[Any], Any] = {Gpus(): GpuReport(found, message)}
    values |= {Exists(path): path == other for path in gpus.OTHER}
    return assumed(values)


def environment(plan: OllamaPlan, observed: Observation) -> dict[str, str]:
    return render.variables(plan, gpus.visible(plan, observed))


@pytest.mark.parametrize(
    ("devices", "visible"),
    [
        ((), "-1"),
        ((0, 3), f"{uuid(0)},{uuid(3)}"),
        ((uuid(2), 1), f"{uuid(2)},{uuid(1)}"),
    ],
)
def test_cuda_gets_uuids(plans: Planned, devices: tuple[int | str, ...], visible: str) -> None:
    """Numbers differ between CUDA, Vulkan and nvidia-smi; Vulkan would use the GPUs of vLLM."""
    found = environment(server(plans("ollama").hosts["gpu"], *devices), seen(*GPUS))
    assert found["CUDA_VISIBLE_DEVICES"] == visible
    assert (found["OLLAMA_VULKAN"], found["CUDA_DEVICE_ORDER"]) == ("0", "PCI_BUS_ID")


def test_another_gpu_before_them_changes_nothing(plans: Planned) -> None:
    """A UUID stays, also when a GPU fails and the others get new numbers."""
    plan = server(plans("ollama").hosts["gpu"], uuid(2))
    assert environment(plan, seen(*GPUS)) == environment(plan, seen(*GPUS[1:]))


def test_a_driver_without_uuids_gets_numbers(plans: Planned) -> None:
    plan = server(plans("ollama").hosts["gpu"], 1, 0)
    assert environment(plan, seen(Gpu(1, "1"), Gpu(1, "1")))["CUDA_VISIBLE_DEVICES"] == "1,0"


PROBLEMS: dict[str, tuple[tuple[int | str, ...], Observation, str]] = {
    "no GPU": (
        (0,),
        seen(message="No devices were found"),
        "no NVIDIA GPU is visible (nvidia-smi: No devices were found), but Ollama needs 1. Install "
        "NVIDIA's driver, or remove hosts.gpu.gpus to use the CPU.",
    ),
    "an AMD host": (
        (0, 1),
        seen(other="/dev/kfd"),
        "no NVIDIA GPU is visible (nvidia-smi), but Ollama needs 2: it has AMD GPUs, and the "
        "service opens the devices of NVIDIA GPUs only. Install NVIDIA's driver, or remove "
        "hosts.gpu.gpus to use the CPU.",
    ),
    "a Jetson": (
        (0,),
        seen(other="/etc/nv_tegra_release"),
        "no NVIDIA GPU is visible (nvidia-smi), but Ollama needs 1: it is a Jetson, whose GPU "
        "nvidia-smi does not list. Install NVIDIA's driver, or remove hosts.gpu.gpus to use the "
        "CPU.",
    ),
    "too few": (
        (0, 4),
        seen(*GPUS),
        "Ollama needs GPU 4 (counted from 0), but 4 GPUs are visible. Correct "
        "hosts.gpu.gpus.count, or 'devices'.",
    ),
    "an unknown UUID": (
        (uuid(9),),
        seen(*GPUS[:2]),
        f"Ollama needs the GPU {uuid(9)}, which nvidia-smi does not list. Write one of: {uuid(0)}, "
        f"{uuid(1)}.",
    ),
    "one GPU twice": (
        (1, uuid(1)),
        seen(*GPUS),
        f"'devices' has the GPU {uuid(1)} by its index and by its UUID. Remove one.",
    ),
}


@pytest.mark.parametrize(("devices", "observed", "message"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_gpus_that_cannot_work(
    plans: Planned, devices: tuple[int | str, ...], observed: Observation, message: str
) -> None:
    host = plans("ollama").hosts["gpu"]
    [problem] = gpus.problems(host, server(host, *devices), observed)
    assert f"{problem.mistake} {problem.remedy}" == message


def test_gpus_that_work(plans: Planned) -> None:
    host = plans("ollama").hosts["gpu"]
    assert not list(gpus.problems(host, server(host, 0, uuid(3)), seen(*GPUS)))
    assert not list(gpus.problems(host, server(host), seen()))


def test_a_uuid_that_vllm_uses_is_refused_on_the_host() -> None:
    """The file has an index for one engine and a UUID for the other: only the host knows both."""
    host = good("ollama-hosts").hosts["gpu-a"]
    [vllm] = host.engines_of(VllmPlan)
    assert vllm.devices == (1, 2)
    [ollama] = host.engines_of(OllamaPlan)
    [_, requested] = ollama.devices
    others = [Gpu(1, "1", "9.0", str(requested) if at == 2 else uuid(at)) for at in range(4)]
    [problem] = gpus.problems(host, ollama, seen(*others))
    assert problem.mistake == f"the GPU {requested} is assigned to 'vllm-big' and to Ollama."


def test_a_host_without_its_gpus_is_skipped_with_the_reason(plans: Planned) -> None:
    host = plans("ollama").hosts["gpu"]
    observed = with_values(observation_of(bare(host) | MACHINE), {Gpus(): GpuReport()})
    [problem] = [each for each in Ollama().problems(host, observed) if "NVIDIA" in each.mistake]
    assert problem.severity == "skip"
