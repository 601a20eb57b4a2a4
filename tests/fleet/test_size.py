"""`mirrorfleet size`: proposals, their YAML, and models that do not fit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirrorfleet import fleet
from mirrorfleet.cli.main import main
from mirrorfleet.config.vllm import VllmModel
from mirrorfleet.data import table
from mirrorfleet.engines.vllm import sizing, weights_size
from mirrorfleet.engines.vllm.memory import GIB
from tests.standins.hub import Hub, running

MODELS: dict[str, dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "models/public.yml").read_text("utf-8")
)
REVISION = "3f1c5f0d6b3a4be0a0b8f7a1c2d3e4f5a6b7c8d9"
FP8 = {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}


def proposed(name: str, count: int, memory: int, **other: Any) -> sizing.Proposal | sizing.TooLarge:
    config = {**MODELS[name], **other.pop("config", {})}
    weights = weights_size.estimate(config)
    assert weights
    gpus = sizing.Gpus(count, memory * GIB)
    return sizing.propose(sizing.Model(config, weights.bytes), gpus, **other)


@pytest.mark.parametrize(
    ("name", "count", "memory", "config", "expected"),
    [
        # Two of four GPUs hold two windows; the other two are free.
        ("qwen3-coder-30b-a3b", 4, 80, {}, (2, 262144, None)),
        ("qwen3-coder-next", 4, 80, {}, (4, 262144, None)),
        ("glm-4.7", 8, 80, {"quantization_config": {"quant_method": "fp8"}}, (8, 202752, None)),
        ("deepseek-v3.2", 8, 140, FP8, (8, 163840, None)),
        ("llama-3.3-70b", 4, 80, {}, (4, 131072, None)),
        (
            "gpt-oss-120b",
            2,
            80,
            {"quantization_config": {"quant_method": "mxfp4"}},
            (2, 131072, None),
        ),
        ("nemotron-3-nano-30b-a3b", 1, 80, {}, (1, 262144, None)),
        # One window fits with 16 bits, two with 8.
        (
            "gpt-oss-120b",
            1,
            80,
            {"quantization_config": {"quant_method": "mxfp4"}},
            (1, 131072, "fp8"),
        ),
        ("qwen3-coder-30b-a3b", 1, 80, {}, (1, 118784, "fp8")),
        # 768 / 4 is no multiple of the 128 numbers that share a scale.
        ("qwen3-coder-30b-a3b", 4, 24, FP8, (2, 89088, "fp8")),
    ],
)
def test_it_proposes_the_fewest_gpus_for_the_whole_window(
    name: str, count: int, memory: int, config: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    found = proposed(name, count, memory, config=config)
    assert isinstance(found, sizing.Proposal)
    split = found.chosen.split
    assert (split.tensor_parallel, split.context, split.kv_cache_dtype) == expected
    assert found.chosen.room.windows >= 2
    assert bool(found.reasons) == (split.kv_cache_dtype is not None)
    assert found.output < split.context


def test_the_sum_is_the_memory() -> None:
    found = proposed("qwen3-coder-30b-a3b", 4, 80)
    assert isinstance(found, sizing.Proposal)
    room = found.chosen.room
    assert room.memory == 80 * GIB
    parts = room.weights + room.activations + room.sampler + room.buffers + room.cache
    assert parts == room.budget == int(room.memory * 0.9)
    assert room.window == 262144 * 49152
    assert room.windows == room.cache / room.window


@pytest.mark.parametrize(
    ("name", "count", "memory", "needed", "split"),
    [
        ("kimi-k2", 8, 80, 32, (32, 1)),
        ("llama-3.3-70b", 2, 80, 4, (4, 1)),
        ("qwen3-coder-next", 2, 80, 4, (4, 1)),
        ("qwen2.5-coder-32b", 1, 24, 4, (4, 1)),
        # Three hosts with eight GPUs each: a stage on each.
        ("deepseek-v3.2", 8, 80, 24, (8, 3)),
    ],
)
def test_a_model_that_does_not_fit_needs_so_many_gpus(
    name: str, count: int, memory: int, needed: int, split: tuple[int, int]
) -> None:
    found = proposed(name, count, memory)
    assert isinstance(found, sizing.TooLarge)
    assert found.gpus == needed and found.needed
    assert (found.needed.tensor_parallel, found.needed.pipeline_parallel) == split
    if split[1] == 1:
        again = proposed(name, needed, memory, context=32768, windows=1)
        assert isinstance(again, sizing.Proposal)


def test_a_requested_window_is_kept_or_refused_with_the_one_that_fits() -> None:
    found = proposed("qwen3-coder-30b-a3b", 1, 80, context=65536, windows=1)
    assert isinstance(found, sizing.Proposal)
    assert found.context == 65536 and found.chosen.split.kv_cache_dtype is None
    found = proposed("llama-3.3-70b", 2, 80, context=65536, kv_cache_dtype="fp8")
    assert isinstance(found, sizing.TooLarge)
    assert found.gpus == 4


def test_more_windows_take_more_gpus() -> None:
    found = proposed("qwen3-coder-30b-a3b", 4, 80, windows=5)
    assert isinstance(found, sizing.Proposal)
    assert found.chosen.split.tensor_parallel == 4
    assert found.concurrency == int(found.chosen.room.windows * 0.8) == 7


FLEET = """\
version: 1
name: x
hub: {{url: "{url}", token: {{env: HUB_TOKEN}}}}
hosts:
  gpu-a: {{address: 10.0.0.2, gpus: {{count: 4, memory: 79.6}}}}
  gpu-b: {{address: 10.0.0.3, gpus: {{count: 4}}}}
  gw: {{address: 10.0.0.4}}
  dev: {{address: 10.0.0.5}}
models:
  old: {{engine: vllm, version: 0.32.0, weights: {{path: /srv/old}}, family: qwen3-coder,
         hosts: [gpu-a], context: 65536, output: 8192, api_key: {{env: K}}}}
gateway: {{hosts: [gw], version: 1.106.12, master_key: {{env: M}}}}
aliases: {{opus: old, sonnet: old, haiku: old}}
keys: {{root: {{env: R}}}}
developers: {{team: {{hosts: [dev], users: [ada], model: sonnet, version: 2.1.331}}}}
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    directory = tmp_path / "hub/Qwen/Qwen3-Coder-30B-A3B-Instruct" / REVISION
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps(MODELS["qwen3-coder-30b-a3b"]))
    index = {"metadata": {"total_size": 61_064_245_248}, "weight_map": {}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    with running(Hub(tmp_path / "hub", branches={"main": REVISION})) as hub:
        yield hub


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("HUB_TOKEN", "hf_secret")
    for name in ("HF_ENDPOINT", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)


Captured = pytest.CaptureFixture[str]
CODER = "Qwen/Qwen3-Coder-30B-A3B-Instruct"


def printed(capsys: Captured) -> str:
    """Return standard output without the lines of the stand-in for the hub."""
    lines = capsys.readouterr().out.splitlines(keepends=True)
    return "".join(line for line in lines if not line.endswith(" from 0\n"))


def folder(directory: Path, name: str, **other: Any) -> Path:
    """Write a folder with the config.json of a public model; a value ``None`` removes a key."""
    config = {**MODELS[name], **other}
    path = directory / name
    path.mkdir()
    content = {key: value for key, value in config.items() if value is not None}
    (path / "config.json").write_text(json.dumps(content))
    return path


def test_the_yaml_for_a_repository_passes_the_check(
    hub: Hub, tmp_path: Path, capsys: Captured
) -> None:
    hub.token = "hf_secret"
    path = tmp_path / "fleet.yml"
    path.write_text(FLEET.format(url=hub.url))
    assert main(["size", CODER, "--fleet", str(path), "--host", "gpu-a"]) == 0
    output = printed(capsys)
    assert max(map(len, output.splitlines())) <= 80
    assert f"{CODER} on 3 GPUs of 79.6 GiB" in output, "'old' has the fourth"
    assert "Weights: 56.9 GiB (total_size of model.safetensors.index.json)" in output
    assert "= KV cache                38.7 GiB" in output
    assert "hf_secret" not in output
    models = output.partition("For the fleet file:\n")[2]
    assert yaml.safe_load(models)["models"]["qwen3-coder-30b-a3b-instruct"] == {
        "engine": "vllm",
        "version": table("releases")["vllm"],
        "weights": CODER,
        "revision": REVISION,
        "family": "qwen3-coder",
        "hosts": ["gpu-a"],
        "port": 8001,
        "context": 262144,
        "output": 32768,
        "tensor_parallel": 2,
        "concurrency": 2,
        "api_key": {"env": "ENGINE_KEY"},
    }
    path.write_text(path.read_text().replace("models:", f"{models.strip()}", 1))
    loaded = fleet.load(path)
    assert set(loaded.models) == {"qwen3-coder-30b-a3b-instruct", "old"}
    assert not [problem for problem in loaded.warnings if "coder-30b" in str(problem)]
    assert [name for name, _, _ in hub.sent] == ["config.json", "model.safetensors.index.json"]

    # The model that was pasted is sized by its name, with its own release and hosts.
    name = "qwen3-coder-30b-a3b-instruct"
    assert main(["size", name, "--fleet", str(path), "--gpus", "8x80", "--windows", "9"]) == 0
    again = yaml.safe_load(capsys.readouterr().out.partition("For the fleet file:\n")[2])
    assert again["models"][name]["tensor_parallel"] == 8
    assert again["models"][name]["revision"] == REVISION


def test_without_a_fleet_file_the_environment_names_the_hub(
    hub: Hub, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "hf_own"
    monkeypatch.setenv("HF_ENDPOINT", f"{hub.url}/")
    assert main(["size", CODER, "--gpus", "4x80"]) == 1
    assert "shows it only with a token" in capsys.readouterr().err
    monkeypatch.setenv("HF_TOKEN", "hf_own")
    assert main(["size", CODER, "--gpus", "4x80", "--json"]) == 0
    found = json.loads(printed(capsys))
    assert found["weights"]["bytes"] == 61_064_245_248
    assert found["proposal"]["per_gpu"]["token"] == 49152
    assert found["models"]["qwen3-coder-30b-a3b-instruct"]["revision"] == REVISION


def test_a_folder_is_enough(tmp_path: Path, capsys: Captured) -> None:
    path = folder(tmp_path, "gpt-oss-20b", quantization_config={"quant_method": "mxfp4"})
    for word in (path, path / "config.json"):
        assert main(["size", str(word), "--gpus", "1", "--memory", "79.6"]) == 0
        output = capsys.readouterr().out
        assert max(len(line) for line in output.splitlines() if str(path) not in line) <= 80
        assert "12 layers x 2 x 8 heads x 64 x 2 bytes" in output
        assert "= 24.0 KiB a token, 128 kept" in output
        assert f"weights: {{push: {path}}}" in output
        assert "family: gpt-oss" in output


def test_the_files_of_a_folder_are_counted(tmp_path: Path, capsys: Captured) -> None:
    path = folder(tmp_path, "qwen3-coder-30b-a3b")
    with (path / "model.safetensors").open("wb") as file:
        file.truncate(31 * GIB)
    assert main(["size", str(path), "--gpus", "2x80"]) == 0
    assert "Weights: 31.0 GiB (safetensors of the folder)" in capsys.readouterr().out


def test_a_model_that_does_not_fit_ends_with_1(tmp_path: Path, capsys: Captured) -> None:
    path = folder(tmp_path, "llama-3.3-70b")
    assert main(["size", str(path), "--gpus", "2x80"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert max(map(len, output.err.splitlines())) <= 80
    assert "llama-3.3-70b does not fit on 2 GPUs of 80.0 GiB." in output.err
    assert "- weights                 65.7 GiB   131.4 GiB / 2" in output.err
    assert "It needs 4 of these GPUs for one window of 32768 tokens" in output.err


def test_an_unknown_architecture_says_what_it_assumes(tmp_path: Path, capsys: Captured) -> None:
    path = folder(
        tmp_path, "qwen3-coder-30b-a3b", model_type="strange", layer_types=["retention"] * 48
    )
    assert main(["size", str(path), "--gpus", "4x80"]) == 1
    assert (
        "the size of the weights is unknown: config.json does not have the figures. Put "
        "model.safetensors.index.json" in capsys.readouterr().err
    )
    (path / "model.safetensors.index.json").write_text('{"metadata": {"total_size": 61000000000}}')
    assert main(["size", str(path), "--gpus", "4x80"]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "The layers of this architecture (strange) are not known: the KV cache is" in output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "has no config.json: copy it there from the model's repository."),
        (b"[1]", "is not a JSON object: copy it again from the model's repository."),
        (b"{}x", "is not a JSON object"),
        (b'{"model_type": "bert"}', "has no num_hidden_layers, num_attention_heads and hidden_s"),
        (
            b'{"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 64,'
            b' "vocab_size": 9, "intermediate_size": 9,'
            b' "quantization_config": {"quant_method": "exl9"}}',
            "the size of the weights is unknown: quant_method 'exl9' is not known here. Put model.",
        ),
    ],
)
def test_a_useless_folder_has_its_fix(
    change: bytes | None, message: str, tmp_path: Path, capsys: Captured
) -> None:
    if change is not None:
        (tmp_path / "config.json").write_bytes(change)
    assert main(["size", str(tmp_path), "--gpus", "4x80"]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("coder", 2, "name the GPUs: `--gpus 4x80`, or a host with `--fleet FILE --host NAME`"),
        ("coder --gpus 4", 2, "name the GPUs: `--gpus 4x80`"),
        ("coder --gpus four", 2, "'four' is not a number of GPUs: write `--gpus 4x80`."),
        ("coder --gpus 0x80", 2, "is not a number of GPUs"),
        ("coder --gpus 4x80 --memory 96", 2, "--gpus says 80 GiB, --memory says 96: remove"),
        ("coder --host gpu-a", 2, "--host needs the fleet file: add `--fleet FILE`."),
        ("coder --gpus 4x80", 1, "coder: no such folder, and not a repository such as"),
        (
            "old --fleet FILE --gpus 4x80",
            1,
            "are at /srv/old of its hosts, which are not contacted",
        ),
        ("odl --fleet FILE --gpus 4x80", 1, "Did you mean 'old'?"),
        ("old --fleet FILE --host gpu-c", 1, "There is no host 'gpu-c'. Did you mean"),
        ("old --fleet FILE --host gpu-b", 1, "write hosts.gpu-b.gpus.memory, or --memory, in GiB."),
        ("old --fleet FILE --host gw", 1, "gw has no GPUs: write hosts.gw.gpus, or --gpus."),
    ],
)
def test_misuse_has_its_fix(
    arguments: str, code: int, message: str, tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text(FLEET.format(url="http://127.0.0.1:9"))
    assert main(["size", *arguments.replace("FILE", str(path)).split()]) == code
    assert message in " ".join(capsys.readouterr().err.split())


def test_init_writes_the_proposal(tmp_path: Path, capsys: Captured) -> None:
    model = folder(tmp_path, "qwen3-coder-30b-a3b")
    arguments = ["init", str(tmp_path / "fleet"), "--model", str(model), "--gpus", "4x79.6"]
    assert main(arguments) == 0
    loaded = fleet.load(tmp_path / "fleet/inventories/prod.yml")
    assert loaded.warnings == ()
    coder = loaded.models["coder"]
    assert isinstance(coder, VllmModel)
    assert coder.weights.source == str(model)
    assert (coder.context, coder.tensor_parallel, coder.concurrency) == (262144, 2, 2)
    assert (loaded.hosts["gpu-a"].gpus, loaded.hosts["gpu-a"].gpu_memory) == (4, int(79.6 * GIB))
    assert "fallbacks: {coder: [cloud]}" in (tmp_path / "fleet/inventories/prod.yml").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("--model MODEL", 2, "belong together: add `--model M --gpus 4x80`."),
        ("--gpus 4x80", 2, "belong together"),
        ("--model MODEL --gpus 4", 2, "belong together"),
        ("--family hermes", 2, "--family is that of --model"),
        ("--model MODEL --gpus 2x24", 1, "It needs 4 of these GPUs for one window"),
        ("--model MODEL --gpus 4x80", 1, "the family of qwen2.5-coder-32b is unknown: add --fam"),
        ("--model nothing --gpus 4x80", 1, "no such folder"),
    ],
)
def test_init_without_a_proposal_writes_nothing(
    arguments: str, code: int, message: str, tmp_path: Path, capsys: Captured
) -> None:
    model = folder(tmp_path, "qwen2.5-coder-32b")
    words = arguments.replace("MODEL", str(model)).split()
    assert main(["init", str(tmp_path / "fleet"), *words]) == code
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "fleet").exists()
    if "unknown" in message:
        assert main(["init", str(tmp_path / "fleet"), *words, "--family", "hermes"]) == 0
        assert fleet.load(tmp_path / "fleet/inventories/prod.yml").models["coder"]
