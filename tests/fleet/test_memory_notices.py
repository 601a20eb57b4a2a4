"""Windows that overrun their GPUs, or could be longer: check and plan, without a host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mirrorfleet.cli.main import main

GIB = 1024**3

FLEET = """\
version: 1
name: x
firewall: none
hosts: {{gpu: {{address: 10.0.0.2, gpus: {{count: 8, memory: {memory}}}}}}}
models:
  coder: {{engine: vllm, version: 0.32.0, weights: {{push: w}}, family: qwen3-coder, hosts: [gpu],
           context: {context}, output: 8192, tensor_parallel: {gpus}{more}}}
"""

# Qwen3-Coder-30B-A3B: 57 GiB of weights, 96 KiB of KV cache a token.
CONFIG = {
    "num_hidden_layers": 48,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "hidden_size": 2048,
    "vocab_size": 151936,
    "moe_intermediate_size": 768,
    "num_experts_per_tok": 8,
    "max_position_embeddings": 262144,
}


def ran(
    directory: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    *,
    memory: float = 80,
    context: int = 262144,
    gpus: int = 2,
    more: str = "",
) -> tuple[int, str, str]:
    """Run a command on a fleet with one pushed model; return exit code and output."""
    (directory / "w").mkdir(exist_ok=True)
    (directory / "w/config.json").write_text(json.dumps(CONFIG))
    with (directory / "w/model.safetensors").open("wb") as file:
        file.truncate(57 * GIB)  # a sparse file
    path = directory / "fleet.yml"
    path.write_text(FLEET.format(memory=memory, context=context, gpus=gpus, more=more))
    code = main([command, str(path)])
    output = capsys.readouterr()
    return code, " ".join(output.out.split()), " ".join(output.err.split())


def test_a_model_that_cannot_fit_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, message = ran(tmp_path, capsys, "check", memory=40)
    assert code == 1
    assert (
        "models.coder.context: is 262144: the model needs at least 40.5 GiB on each GPU: weights "
        "28.5 GiB (57.0 GiB / 2) + one window 12.0 GiB (2 x 2 heads x 128 x 2 bytes, for 262144 "
        "tokens). A GPU has 40.0 GiB x 0.9 = 36.0 GiB. Split it over more GPUs, set a smaller "
        "context, or set kv_cache_dtype: fp8."
    ) in message


def test_slightly_too_much_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, message = ran(tmp_path, capsys, "check", memory=44)
    assert code == 0
    assert "the model needs at least 40.5 GiB on each GPU" in message


def test_a_window_that_vllm_would_refuse_by_estimate_is_a_note_of_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output, message = ran(tmp_path, capsys, "plan", memory=46)
    assert (code, message) == (0, "")
    assert (
        "note: models.coder.context is 262144, but by estimate 0.8 such windows fit the GPUs, and "
        "the engine must hold one window. Write context: 216064, or use more GPUs, or "
        "kv_cache_dtype: fp8."
    ) in output
    _, output, _ = ran(tmp_path, capsys, "plan", more=", concurrency: 4")
    assert "3.2 such windows fit the GPUs, and the engine must hold 4 windows" in output


def test_a_window_that_could_be_longer_is_a_note_of_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, output, _ = ran(tmp_path, capsys, "plan", context=65536)
    assert (
        "note: models.coder.context is 65536, but the model was trained for 262144 tokens, and "
        "by estimate 2 windows of 262144 tokens fit the GPUs. Write context: 262144, or use fewer "
        "GPUs."
    ) in output
    _, output, _ = ran(tmp_path, capsys, "plan", context=65536, more=", concurrency: 4")
    assert "by estimate 4 windows of 211968 tokens fit the GPUs" in output


@pytest.mark.parametrize("context", [262144, 200000])
def test_a_window_that_suits_its_gpus_has_no_note(
    context: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, output, _ = ran(tmp_path, capsys, "plan", context=context)
    assert "note:" not in output


def test_without_the_memory_of_the_gpus_there_is_no_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran(tmp_path, capsys, "plan")
    path = tmp_path / "fleet.yml"
    path.write_text(path.read_text().replace(", memory: 80", "").replace("262144", "65536"))
    assert main(["plan", str(path)]) == 0
    assert "note:" not in capsys.readouterr().out
