"""The KV cache and the weights of public models: by vLLM's own functions, and by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirrorfleet.engines.vllm import kv_cache, sizing, weights_size
from mirrorfleet.engines.vllm.model_config import trained_window

HERE = Path(__file__).parent / "models"
MODELS: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "public.yml").read_text("utf-8"))
FIGURES = [json.loads(line) for line in (HERE / "vllm-0.32.0.jsonl").read_text().splitlines()]


def name_of(figure: dict[str, Any]) -> str:
    return f"{figure['model']}-{figure['tensor_parallel']}-{figure['kv_cache_dtype']}"


@pytest.mark.parametrize("figure", FIGURES, ids=name_of)
def test_a_full_window_needs_what_vllm_reserves(figure: dict[str, Any]) -> None:
    """The figures come from vLLM 0.32.0 itself: tools/kv_cache_figures.py."""
    number = 1 if figure["kv_cache_dtype"] == "fp8" else 2
    layers = kv_cache.layers(MODELS[figure["model"]], figure["tensor_parallel"], number)
    assert layers
    reserved = kv_cache.reserved(layers, figure["context"], figure["in_flight"], figure["block"])
    assert reserved == figure["window"]
    assert kv_cache.least(layers, figure["context"]) <= reserved


@pytest.mark.parametrize("figure", FIGURES, ids=name_of)
def test_the_parameters_are_those_of_vllm(figure: dict[str, Any]) -> None:
    found = weights_size.parameters(MODELS[figure["model"]])
    assert found
    # vLLM copies what it does not split, on each GPU: at most 3 % of these models.
    copies = figure["weights"] * figure["tensor_parallel"] / 2
    assert copies * 0.97 < found.total < copies * 1.001


@pytest.mark.parametrize(
    ("name", "parallel", "number", "expected"),
    [
        # 48 layers x 2 x 4 heads x 128 x 2 bytes
        ("qwen3-coder-30b-a3b", 1, 2, 98304),
        # a head on each of 8 GPUs: 4 heads are kept twice
        ("qwen3-coder-30b-a3b", 8, 2, 24576),
        # 12 of 48 layers x 2 x 2 heads x 256 x 2 bytes
        ("qwen3-coder-next", 1, 2, 24576),
        # 92 layers x 2 x 8 heads x 128 x 2 bytes
        ("glm-4.7", 1, 2, 376832),
        # 18 of 36 layers x 2 x 8 heads x 64 x 2 bytes
        ("gpt-oss-120b", 1, 2, 36864),
        # 61 layers x ((512 + 64) x 2 + 128 + 4 bytes), on every GPU
        ("deepseek-v3.2", 8, 2, 78324),
        # 61 layers x (656 + 132 bytes): fp8 with scales, and the index
        ("deepseek-v3.2", 8, 1, 48068),
        # 61 layers x (512 + 64) x 2 bytes
        ("kimi-k2", 8, 2, 70272),
        # 62 layers x 2 x 8 heads x 128 x 2 bytes
        ("minimax-m2", 1, 2, 253952),
        # 80 layers x 2 x 8 heads x 128 x 2 bytes
        ("llama-3.3-70b", 1, 2, 327680),
        ("llama-3.3-70b", 4, 1, 40960),
        # 40 layers x 2 x 8 heads x 128 x 2 bytes
        ("mistral-small-3.2-24b", 1, 2, 163840),
        # 10 of 62 layers x 2 x 16 heads x 128 x 2 bytes
        ("gemma-3-27b", 1, 2, 81920),
        # 16 of 64 layers x 2 x 4 heads x 256 x 2 bytes
        ("qwen3.5-27b", 1, 2, 65536),
        # 6 of 52 layers x 2 x 2 heads x 128 x 2 bytes
        ("nemotron-3-nano-30b-a3b", 1, 2, 6144),
        # 64 layers x 2 x 8 heads x 128 x 2 bytes
        ("qwen2.5-coder-32b", 1, 2, 262144),
        # 46 layers x 2 x 8 heads x 128 x 2 bytes
        ("glm-4.5-air", 1, 2, 188416),
        # All layers slide: a long request costs no more.
        ("mistral-7b-v0.1", 1, 2, 0),
    ],
)
def test_the_bytes_of_a_token(name: str, parallel: int, number: int, expected: int) -> None:
    layers = kv_cache.layers(MODELS[name], parallel, number)
    assert layers
    assert kv_cache.bytes_per_token(layers) == expected


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("qwen3-coder-30b-a3b", 30.5),
        ("qwen3-coder-next", 80),
        ("gpt-oss-120b", 117),
        ("gpt-oss-20b", 21),
        ("deepseek-v3.2", 671),
        ("kimi-k2", 1026),
        ("minimax-m2", 230),
        ("llama-3.3-70b", 70.6),
        ("mistral-small-3.2-24b", 24),
        ("gemma-3-27b", 27),
        ("glm-4.5-air", 106),
        ("nemotron-3-nano-30b-a3b", 31.6),
        ("nemotron-nano-9b-v2", 8.9),
        ("qwen2.5-coder-32b", 32.8),
    ],
)
def test_the_parameters_are_those_of_the_model_card(name: str, billions: float) -> None:
    found = weights_size.parameters(MODELS[name])
    assert found
    assert found.total / 1e9 == pytest.approx(billions, rel=0.02)


@pytest.mark.parametrize(
    ("name", "window"),
    [
        ("qwen3-coder-30b-a3b", 262144),
        ("gpt-oss-120b", 131072),  # its YaRN factor of 32 is in it already
        ("deepseek-v3.2", 163840),
        ("llama-3.3-70b", 131072),
        ("gemma-3-27b", 131072),
        ("minimax-m2", 196608),
    ],
)
def test_the_trained_window(name: str, window: int) -> None:
    assert trained_window(MODELS[name]) == window


# Published figures for vLLM 0.29, of a request with 262144 tokens. The last two are for 8192 and
# for 2048 tokens a batch.
GATED = {
    "num_hidden_layers": 64,
    "full_attention_interval": 4,
    "num_attention_heads": 24,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "hidden_size": 5120,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 48,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_conv_kernel_dim": 4,
    "mamba_ssm_dtype": "float32",
}
GEMMA_4 = {
    "num_hidden_layers": 60,
    "num_attention_heads": 32,
    "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 10,
    "head_dim": 256,
    "global_head_dim": 512,
    "num_key_value_heads": 16,
    "num_global_key_value_heads": 4,
    "sliding_window": 1024,
    "hidden_size": 5376,
}


@pytest.mark.parametrize(
    ("config", "in_flight", "expected"),
    [
        (GATED, 16384, 17_520_656_384),
        (
            {
                **GATED,
                "num_hidden_layers": 40,
                "num_key_value_heads": 2,
                "linear_num_value_heads": 32,
            },
            16384,
            5_514_854_400,
        ),
        # 126 pages of attention, and for four groups of Mamba 2 layers: two each, three in 0.32.
        (MODELS["nemotron-3-nano-30b-a3b"], 16384, 1_725_628_416 * 138 // 134),
        (GEMMA_4, 16384, 13_637 * 2_621_440),
        (GEMMA_4, 4096, 9_797 * 2_621_440),
    ],
    ids=["qwen3.8-27b", "qwen3.6-35b-a3b", "nemotron-3-nano", "gemma-4-h100", "gemma-4-a100"],
)
def test_mixed_layers_need_what_others_measured(
    config: dict[str, Any], in_flight: int, expected: int
) -> None:
    layers = kv_cache.layers(config, 1, 2)
    assert layers
    assert kv_cache.reserved(layers, 262144, in_flight) == expected


def test_a_list_of_layers_and_a_pattern_are_the_same() -> None:
    model = MODELS["nemotron-3-nano-30b-a3b"]
    names = {"M": "mamba", "E": "moe", "*": "attention"}
    listed = [names[letter] for letter in model["hybrid_override_pattern"]]
    other = {**model, "layers_block_type": listed}
    del other["hybrid_override_pattern"]
    assert kv_cache.layers(other, 1, 2) == kv_cache.layers(model, 1, 2)


def test_gemma_3_and_gpt_oss_alternate_without_a_list() -> None:
    gemma = {key: MODELS["gemma-3-27b"][key] for key in MODELS["gemma-3-27b"]}
    del gemma["sliding_window_pattern"]
    counts = kv_cache.kinds(gemma)
    assert counts and (counts["full"], counts["sliding"]) == (10, 52)
    oss = {key: value for key, value in MODELS["gpt-oss-20b"].items() if key != "layer_types"}
    counts = kv_cache.kinds(oss)
    assert counts and (counts["full"], counts["sliding"]) == (12, 12)


def test_mistral_slides_unless_its_config_says_otherwise() -> None:
    """vLLM 0.32.0 reserves 2018508800 bytes for a config.json without the key."""
    model = {**MODELS["mistral-small-3.2-24b"]}
    assert model.pop("sliding_window") is None
    layers = kv_cache.layers(model, 1, 2)
    assert layers and kv_cache.reserved(layers, 131072, 8192, 32) == 2_018_508_800


@pytest.mark.parametrize(
    "change",
    [
        {"compress_ratios": [0, 4]},
        {"linear_attn_config": {"kda_layers": [1]}},
        {"attn_type_list": [1, 0]},
        {"layer_types": ["retention"] * 48},
        {"hybrid_override_pattern": "M*"},
        {"attention_chunk_size": 8192},
        {"full_attention_interval": 4},
    ],
)
def test_unknown_layers_are_assumed_to_have_full_attention(change: dict[str, Any]) -> None:
    model = {**MODELS["qwen3-coder-30b-a3b"], **change}
    assert kv_cache.layers(model, 1, 2) is None
    assumed = kv_cache.assumed(model, 1, 2)
    assert assumed and kv_cache.bytes_per_token(assumed) == 98304
    assert any("as if each had full attention" in text for text in sizing.assumptions(model))


@pytest.mark.parametrize(
    ("quantized", "gib"),
    [
        ({}, 56.9),
        ({"quant_method": "fp8"}, 29.0),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, 15.6),
        ({"quant_method": "gptq", "bits": 8, "group_size": 128}, 29.6),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, 29.0),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 32}}},
            },
            16.8,
        ),
    ],
    ids=lambda value: value.get("quant_method", "none") if isinstance(value, dict) else "",
)
def test_quantized_weights_are_estimated_by_their_bits(
    quantized: dict[str, Any], gib: float
) -> None:
    # 29.91 billion quantized parameters, and 0.62 billion of words with 16 bits.
    model = dict(MODELS["qwen3-coder-30b-a3b"])
    if quantized:
        model["quantization_config"] = quantized
    found = weights_size.estimate(model)
    assert found
    assert found.bytes / 1024**3 == pytest.approx(gib, abs=0.1)
    assert "an estimate" in found.how


def test_mxfp4_is_for_experts_only() -> None:
    """OpenAI's card: gpt-oss-120b has 60.8 GiB."""
    found = weights_size.estimate(
        {**MODELS["gpt-oss-120b"], "quantization_config": {"quant_method": "mxfp4"}}
    )
    assert found
    assert found.bytes / 1024**3 == pytest.approx(60.8, abs=0.3)


def test_an_unknown_quantization_has_no_estimate() -> None:
    model = {**MODELS["glm-4.7"], "quantization_config": {"quant_method": "exl9"}}
    assert weights_size.estimate(model) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"metadata": {}}',
        b'{"metadata": {"total_size": "x"}}',
        b'{"metadata": {"total_size": -1}}',
        b'{"metadata": {"total_size": 1e400}}',
        b"[" * 100_000,
    ],
)
def test_an_index_without_a_size_is_no_size(text: bytes) -> None:
    assert weights_size.from_index(text) is None


def test_the_index_states_the_size() -> None:
    found = weights_size.from_index(b'{"metadata": {"total_size": 61064245248}, "weight_map": {}}')
    assert found and found.bytes == 61_064_245_248
