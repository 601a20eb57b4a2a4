"""Checks of live hosts before the first change: system, clock, disks, GPUs and their memory."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from mirrorfleet.config.vllm import Weights
from mirrorfleet.engines.vllm.memory import GIB, need
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.litellm.role import Litellm
from mirrorfleet.roles.system import role as system
from mirrorfleet.roles.system.facts import Addresses, Clock
from mirrorfleet.roles.system.role import System
from mirrorfleet.roles.vllm import command_line, gpus, software
from mirrorfleet.roles.vllm.facts import WeightsSize
from mirrorfleet.roles.vllm.role import Vllm
from mirrorfleet.runtime.facts import Content, Exists, Gpu, GpuReport, Gpus, Unit, UnitState
from mirrorfleet.runtime.observe import Observation, assumed, parse
from mirrorfleet.runtime.paths import ROOT, STATE
from mirrorfleet.runtime.role import Role
from tests.roles.answers import bare, converged, observation_of, with_values
from tests.roles.conftest import Planned
from tests.roles.fake import mirror
from tests.roles.fleets import edit
from tests.roles.machine import Machine
from tests.roles.problems import texts

# The keys about layers in config.json of Qwen3-Coder-30B-A3B-Instruct and other models.
QWEN3 = {
    "num_hidden_layers": 48,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "hidden_size": 2048,
}
DEEPSEEK = {
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "kv_lora_rank": 512,
    "qk_rope_head_dim": 64,
    "hidden_size": 7168,
}
GPT_OSS = {
    "num_hidden_layers": 36,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "hidden_size": 2880,
    "sliding_window": 128,
    "layer_types": ["sliding_attention", "full_attention"] * 18,
}
GEMMA_3N = {
    "num_hidden_layers": 35,
    "num_kv_shared_layers": 15,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 256,
    "hidden_size": 2048,
    "sliding_window": 512,
    "layer_types": [*["sliding_attention"] * 4, "full_attention"] * 7,
}


@pytest.fixture
def engine(plans: Planned) -> VllmPlan:
    """Return the engine of `helper` in prod.yml: two GPUs, a window of 131072 tokens."""
    return plans("prod").hosts["gpu-c"].engines_of(VllmPlan)[0]


def gib_per_gpu(
    engine: VllmPlan, config: dict[str, Any], weights: float = 0, **other: Any
) -> float:
    found = need(replace(engine, **other), json.dumps(config).encode(), int(weights * GIB))
    assert found
    return round(found.bytes / GIB, 3)


def test_the_kv_cache_of_a_window_matches_published_figures(engine: VllmPlan) -> None:
    # 48 layers x 2 x 4 heads x 128 x 2 bytes are 96 KiB a token.
    assert gib_per_gpu(engine, QWEN3, tensor_parallel=1) == 12
    assert gib_per_gpu(engine, QWEN3) == 6, "half of the heads on each of two GPUs"
    assert gib_per_gpu(engine, QWEN3, tensor_parallel=8) == 3, "a head is not split"
    assert gib_per_gpu(engine, QWEN3, kv_cache_dtype="fp8") == 3
    assert gib_per_gpu(engine, QWEN3, pipeline_parallel=2) == 3
    assert gib_per_gpu(engine, {"text_config": QWEN3}) == 6, "a model with vision"
    # 61 layers x 576 x 2 bytes, on every GPU.
    assert (
        gib_per_gpu(engine, DEEPSEEK) == gib_per_gpu(engine, DEEPSEEK, tensor_parallel=8) == 8.578
    )
    # 18 layers keep all, 18 keep 128 tokens: 2 x 4 heads x 64 x 2 bytes a token.
    assert gib_per_gpu(engine, GPT_OSS) == 2.252
    # The last 15 of 35 layers share the cache of others; of the first 20, 4 keep all, 16 keep 512.
    assert gib_per_gpu(engine, GEMMA_3N, tensor_parallel=1) == 1.016


def test_weights_are_split_over_the_gpus(engine: VllmPlan) -> None:
    assert gib_per_gpu(engine, QWEN3, weights=57) == 28.5 + 6
    assert gib_per_gpu(engine, QWEN3, weights=57, data_parallel=2) == 28.5 + 6, (
        "each copy has its own"
    )
    single = {**QWEN3, "torch_dtype": "float32"}
    assert gib_per_gpu(engine, single, weights=57, kv_cache_dtype="fp8") == 14.25 + 3, (
        "halved in loading"
    )


@pytest.mark.parametrize(
    "config",
    [b"", b"[]", b"{not json"],
)
def test_an_unknown_configuration_has_no_estimate(engine: VllmPlan, config: bytes) -> None:
    assert need(engine, config, GIB) is None


def test_unknown_layers_count_only_with_their_weights(engine: VllmPlan) -> None:
    assert gib_per_gpu(engine, {**QWEN3, "hybrid_override_pattern": "M-M*"}, weights=57) == 28.5
    assert gib_per_gpu(engine, {**QWEN3, "full_attention_interval": 4}, weights=57) == 28.5
    offloaded = replace(engine, arguments={"cpu-offload-gb": 10})
    assert need(offloaded, json.dumps(QWEN3).encode(), GIB) is None
    assert need(replace(engine, quantization="fp8"), json.dumps(QWEN3).encode(), GIB) is None


PLACE = "/srv/models/qwen3-coder-30b"
CONFIG = Content(f"{PLACE}/config.json")


def found(
    memory: float, driver: str = "580.95.05", count: int = 2, weights: int = 57
) -> Observation:
    return assumed(
        {
            Gpus(): GpuReport((Gpu(int(memory * GIB), driver),) * count),
            CONFIG: json.dumps(QWEN3).encode(),
            WeightsSize(PLACE): weights * GIB,
        }
    )


def reporting(observed: Observation, **report: Any) -> Observation:
    """Return the same host with another report of nvidia-smi."""
    return with_values(observed, {Gpus(): replace(observed[Gpus()], **report)})


def problems_of(plans: Planned, observed: Observation, **other: Any) -> list[str]:
    """Return the problems: their texts, and those of warnings after "warning: "."""
    plan = plans("prod").hosts["gpu-c"]
    engine = replace(plan.engines_of(VllmPlan)[0], **other)
    lock = software.environment(plan.engines_of(VllmPlan)[0]).lock
    found = gpus.problems(plan, engine, lock, PLACE, observed)
    return [str(problem).removeprefix(": ") for problem in found]


def test_a_model_that_does_not_fit_is_an_error_with_the_arithmetic(plans: Planned) -> None:
    assert problems_of(plans, found(80)) == []
    assert problems_of(plans, found(39)) == []
    [slightly] = problems_of(plans, found(38))
    assert slightly.startswith("warning: "), "the estimate is not exact enough for an error"
    [reason] = problems_of(plans, found(36))
    assert reason == (
        "'helper' needs at least 34.5 GiB on each GPU: weights 28.5 GiB (57.0 GiB / 2) + one "
        "window 6.0 GiB (2 x 2 heads x 128 x 2 bytes, for 131072 tokens). A GPU has 36.0 GiB x "
        "0.9 = 32.4 GiB. Split it over more GPUs, set a smaller context, or set kv_cache_dtype: "
        "fp8."
    )


def test_attention_heads_must_be_divisible_by_the_gpus(plans: Planned) -> None:
    [reason] = problems_of(plans, found(200), tensor_parallel=3)
    assert not reason.startswith("warning: ")
    assert "over 3 GPUs: 32 attention heads are not divisible by 3" in reason
    [warning] = problems_of(plans, with_config(num_attention_heads=24), tensor_parallel=3)
    assert warning.startswith("warning: "), "some models copy them"
    assert "4 KV heads are not divisible by 3" in warning
    latent = with_config(num_attention_heads=96, kv_lora_rank=512, qk_rope_head_dim=64)
    assert problems_of(plans, latent, tensor_parallel=3) == []
    assert problems_of(plans, found(200), tensor_parallel=8) == [], "KV heads are copied"


def test_a_window_larger_than_that_of_the_weights_is_an_error(
    plans: Planned,
) -> None:
    trained = with_config(max_position_embeddings=262144)
    [reason] = problems_of(plans, trained, context=1_000_000)
    assert "has a context of 1000000 tokens, but config.json of its weights allows 262144" in reason
    assert problems_of(plans, trained, context=262144) == []
    stretched = {"hf-overrides": {"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}}
    assert problems_of(plans, trained, context=1_000_000, arguments=stretched) == []
    allowed = {"VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1"}
    assert problems_of(plans, trained, context=1_000_000, environment=allowed) == []
    scaled = with_config(max_position_embeddings=32768, rope_scaling={"factor": 4.0})
    assert problems_of(plans, scaled, context=131072) == []


def test_a_window_that_does_not_fit_on_the_gpus_is_an_error(plans: Planned) -> None:
    [reason] = problems_of(plans, found(24, weights=30), context=1_000_000)
    assert "one window 45.8 GiB" in reason


def with_config(**config: Any) -> Observation:
    content = json.dumps({**QWEN3, **config}).encode()
    return with_values(found(200), {CONFIG: content})


def test_too_few_gpus_and_an_old_driver_are_errors(plans: Planned) -> None:
    assert problems_of(plans, found(80, count=1)) == [
        "'helper' needs GPU 1 (counted from 0), but 1 GPUs are visible. Correct "
        "hosts.gpu-c.gpus.count."
    ]
    assert problems_of(plans, found(80, count=0)) == [
        "no NVIDIA GPU is visible (nvidia-smi), but 'helper' needs 2. Install NVIDIA's driver, 580 "
        "or newer, or reboot into it; deploys/drivers.py installs the package that "
        "hosts.gpu-c.driver names."
    ]
    assert problems_of(plans, found(80, driver="550.163.01")) == [
        "NVIDIA's driver is 550.163.01, but vLLM 0.32.0 brings CUDA 13, which needs 580 or newer. "
        "Set hosts.gpu-c.driver to the driver's package and run deploys/drivers.py, or install it "
        "by hand; or, for datacenter GPUs only, install NVIDIA's package cuda-compat, and set "
        "hosts.gpu-c.gpus.cuda_compat to its directory."
    ]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (
            "Failed to initialize NVML: Driver/library version mismatch",
            "the kernel still runs the former one: reboot the host.",
        ),
        ("No devices were found", "The driver is loaded and finds no GPU"),
        ("NVIDIA-SMI has failed because it couldn't communicate", "Install NVIDIA's driver"),
    ],
)
def test_nvidia_smi_that_reports_no_gpu_is_quoted(plans: Planned, words: str, hint: str) -> None:
    [reason] = problems_of(plans, reporting(found(80, count=0), message=words))
    assert reason.startswith(f"no NVIDIA GPU is visible (nvidia-smi: {words}), but 'helper'")
    assert hint in reason


def test_a_failed_gpu_is_reported_with_its_message(plans: Planned) -> None:
    words = "Unable to determine the device handle for GPU1: 0000:0B:00.0: Unknown Error"
    [reason] = problems_of(plans, reporting(found(80, count=1), message=words))
    assert words in reason
    assert reason.endswith("A GPU has failed: see dmesg, and reboot the host.")


def test_gpus_before_turing_are_an_error(plans: Planned) -> None:
    def of(capability: str) -> Observation:
        gpus = found(80)[Gpus()].gpus
        return reporting(found(80), gpus=tuple(replace(g, capability=capability) for g in gpus))

    assert problems_of(plans, of("7.0")) == [
        "GPU 0 has compute capability 7.0, but vLLM 0.32.0 brings CUDA 13, which needs 7.5 or "
        "newer: V100 and older GPUs are not supported. Use another host for 'helper'."
    ]
    for capability in ("7.5", "8.0", "9.0", "10.0", "12.0", ""):
        assert problems_of(plans, of(capability)) == []


def test_gpus_behind_nvswitch_need_the_fabric_manager(plans: Planned) -> None:
    joined = reporting(found(80), nvswitch=True)
    [reason] = problems_of(plans, joined)
    assert reason.startswith("warning: "), "the engine's own check decides"
    assert "every CUDA call fails with error 802" in reason
    assert "of the driver's release, 580.95.05" in reason
    runs = {Unit("nvidia-fabricmanager.service"): UnitState("active", "enabled")}
    assert problems_of(plans, with_values(joined, runs)) == []
    assert problems_of(plans, found(80)) == [], "GPUs without NVSwitch"


def test_with_a_driver_in_the_fleet_file_the_fix_is_deploys_drivers(
    plans: Planned, project: Path
) -> None:
    edit(project, "prod", "gpus: {count: 2}", "gpus: {count: 2}, driver: nvidia-driver-580-server")
    job = (
        "Run deploys/drivers.py: it installs nvidia-driver-580-server, or reports what prevents it"
    )
    [reason] = problems_of(plans, found(80, count=0))
    assert reason.endswith(f"'helper' needs 2. {job}.")
    [reason] = problems_of(plans, found(80, driver="550.163.01"))
    assert f"needs 580 or newer. {job}; or, for datacenter GPUs only" in reason


def test_cuda_compat_replaces_a_new_driver(plans: Planned) -> None:
    old, directory = found(80, driver="550.163.01"), "/usr/local/cuda-13.0/compat"
    assert problems_of(plans, old, cuda_compat=directory) == [
        f"hosts.gpu-c.gpus.cuda_compat needs {directory}/libcuda.so.1, which does not exist. "
        "Install NVIDIA's package cuda-compat for CUDA 13, or correct the key."
    ]
    there = with_values(old, {Exists(f"{directory}/libcuda.so.1"): True})
    assert problems_of(plans, there, cuda_compat=directory) == []
    plan = plans("prod").hosts["gpu-c"]
    engine = replace(plan.engines_of(VllmPlan)[0], cuda_compat=directory)
    assert command_line.variables(engine, "/env", None)["LD_LIBRARY_PATH"] == directory
    assert Exists(f"{directory}/libcuda.so.1") in gpus.facts(plan, engine, PLACE)


def test_memory_shared_with_the_cpu_is_not_checked(plans: Planned) -> None:
    assert problems_of(plans, found(0)) == []


def test_unknown_memory_is_a_warning(plans: Planned) -> None:
    [reason] = problems_of(plans, with_values(found(80), {CONFIG: None}))
    assert reason.startswith("warning: the GPU memory that 'helper' needs is unknown until")


def test_weights_to_push_are_checked_on_the_controller(plans: Planned, tmp_path: Path) -> None:
    weights = Weights("push", str(tmp_path), None)
    [reason] = problems_of(plans, with_values(found(80), {CONFIG: None}), weights=weights)
    assert reason.startswith("warning: "), "no config.json"
    (tmp_path / "config.json").write_text(json.dumps(QWEN3))
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(200 * GIB)
    (tmp_path / "consolidated.safetensors").write_text("the same once more")
    [reason] = problems_of(plans, with_values(found(80), {CONFIG: None}), weights=weights)
    assert "weights 100.0 GiB (200.0 GiB / 2)" in reason


def test_the_window_of_a_live_engine_is_judged_by_its_gpus(plans: Planned) -> None:
    def notes(observed: Observation, **other: Any) -> list[str]:
        plan = plans("prod").hosts["gpu-c"]
        engine = replace(plan.engines_of(VllmPlan)[0], **other)
        return list(gpus.notices(engine, PLACE, observed))

    trained = with_config(max_position_embeddings=262144, vocab_size=151936)
    [note] = notes(trained)
    assert note == (
        "models.helper.context is 131072, but the model was trained for 262144 tokens, and by "
        "estimate 2 windows of 262144 tokens fit the GPUs. Write context: 262144, or use fewer "
        "GPUs."
    )
    assert notes(trained, context=262144) == []
    assert notes(trained, build="cpu") == []
    assert notes(with_values(trained, {WeightsSize(PLACE): None})) == [], "no weights yet"
    assert notes(found(0)) == [], "memory shared with the machine"
    [note] = notes(found(40))
    assert note.startswith("models.helper.context is 131072, but by estimate 0.")
    assert "the engine must hold one window. Write context:" in note


@pytest.mark.usefixtures("offline_cache")
def test_a_warning_is_shown_and_the_run_continues(
    plans: Planned, caplog: pytest.LogCaptureFixture
) -> None:
    hosts = plans("prod").hosts
    done = mirror(hosts, {name: bare(plan) for name, plan in hosts.items()})
    assert done["gpu-a"].execs
    assert "needs is unknown until the host has its weights" in caplog.text


def test_a_host_of_services_needs_apt_a_known_architecture_and_the_right_time(
    plans: Planned,
) -> None:
    hosts = plans("lab").hosts
    gateway, fine = hosts["gw-1"], observation_of(bare(hosts["gw-1"]))
    assert list(System().problems(gateway, fine)) == []
    odd = with_values(fine, {Exists(system.APT): False}, system="fedora", release="43")
    assert texts(System().problems(gateway, odd)) == [
        "the system, fedora 43, does not have apt; services need systemd and apt. "
        "Use a host with Debian or Ubuntu."
    ]
    assert list(System().problems(hosts["dev"], odd)) == [], "a developer's machine may be any"
    [reason] = texts(System().problems(gateway, with_values(fine, {}, architecture="riscv64")))
    assert reason.startswith("the architecture is riscv64; services need x86_64 and aarch64.")
    late = replace(with_values(fine, {Clock(): 1000}), during=(1091.4, 1092))
    [reason] = texts(System().problems(gateway, late))
    assert "the clock is 90 seconds behind this machine's" in reason


def test_a_name_to_listen_on_must_not_resolve_to_a_loopback_address_first(plans: Planned) -> None:
    hosts = plans("lab").hosts
    assert hosts["gw-1"].gateway
    named = replace(hosts["gw-1"], gateway=replace(hosts["gw-1"].gateway, listen="gw-1.example"))
    fine = observation_of(bare(hosts["gw-1"]))
    assert Addresses("gw-1.example") in System().facts(named)
    for addresses, problems_of in (
        ("10.77.0.21", 0),
        ("10.77.0.21 127.0.1.1", 0),
        ("127.0.1.1 10.77.0.21", 1),  # programs listen on the first address
        ("127.0.1.1", 1),
        ("::1 127.0.1.1", 1),
        ("", 1),
    ):
        found = with_values(fine, {Addresses("gw-1.example"): tuple(addresses.split())})
        assert len(list(System().problems(named, found))) == problems_of
    local = with_values(fine, {Addresses("gw-1.example"): ("127.0.1.1",)})
    [reason] = texts(System().problems(named, local))
    assert reason.startswith(
        "services listen on gw-1.example, which this host resolves to 127.0.1.1"
    )


def test_a_disk_needs_room_for_software_that_is_not_installed_yet(plans: Planned) -> None:
    hosts = plans("lab").hosts
    roles: tuple[tuple[Role, str, str], ...] = (
        (Vllm(), "gpu", "2.50"),
        (Litellm(), "gw-1", "0.70"),
    )
    for role, name, size in roles:
        plan = hosts[name]
        full = {("disk", ROOT): ("600000",), ("disk", STATE): ("600000000",)}
        assert texts(role.problems(plan, observation_of(bare(plan) | full))) == [
            f"software needs at least {size} GB below /opt/mirrorfleet, but 0.61 GB are free. "
            "Free space there."
        ]
        assert list(role.problems(plan, observation_of(converged(plan) | full))) == [], (
            "already installed"
        )


def test_an_environment_with_cuda_needs_room_for_itself_and_its_wheels(plans: Planned) -> None:
    plan = plans("prod").hosts["gpu-a"]

    def problems_of(
        root: int, state: int, packages: Literal["controller", "registry"]
    ) -> list[str]:
        disks = {("disk", ROOT): (f"{root}",), ("disk", STATE): (f"{state}",)}
        reasons = texts(
            Vllm().problems(replace(plan, packages=packages), observation_of(bare(plan) | disks))
        )
        return [reason for reason in reasons if reason.startswith("software")]

    assert problems_of(9_000_000, 9_100_000, "registry") == []
    [one_disk] = problems_of(9_000_000, 9_000_000, "controller")
    assert one_disk.startswith("software needs at least 12.60 GB below /var/lib/mirrorfleet")
    two = problems_of(8_000_000, 9_000_000, "controller")
    assert [reason.partition(" below ")[0] for reason in two] == [
        "software needs at least 8.70 GB",
        "software needs at least 12.60 GB",
    ]


@pytest.mark.parametrize(
    ("reported", "ahead"), [(1000, 0), (1005, 0), (999, 0), (1100, 90), (900, -99), (995, -4)]
)
def test_the_duration_of_the_observation_is_no_difference_of_the_clock(
    reported: int, ahead: float
) -> None:
    lines = ["machine\tdebian\t12\tx86_64\t4\t1024", f"clock\t{reported}"]
    assert system.ahead(parse([Clock()], lines, (1000, 1010))) == ahead


def test_a_host_reports_its_clock_and_the_size_of_weights(machine: Machine) -> None:
    weights = machine.root / "weights"
    weights.mkdir()
    (weights / "blob").write_bytes(b"1" * 1000)
    (weights / "model-1-of-2.safetensors").symlink_to("blob")
    (weights / "model-2-of-2.safetensors").write_bytes(b"1" * 10)
    (weights / "consolidated.safetensors").write_bytes(b"1" * 1010)
    sizes = (WeightsSize(str(weights)), WeightsSize(str(machine.root)))
    began = time.time()
    observed = machine.observe(Clock(), *sizes)
    assert [observed[size] for size in sizes] == [1010, 0]
    assert int(began) <= (observed[Clock()] or 0) <= time.time()
