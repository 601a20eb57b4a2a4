"""config.json of weights: invalid values are ignored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mirrorfleet import fleet
from mirrorfleet.engines.vllm import model_config

FLEET = """\
version: 1
name: x
firewall: none
hosts: {gpu: {address: 10.0.0.2, gpus: {count: 64, memory: 80}}}
models:
  m: {engine: vllm, version: 0.32.0, weights: {push: w}, family: hermes, hosts: [gpu],
      context: 65536, output: 8192, tensor_parallel: 24}
"""

STRANGE = [
    b"",
    b"[]",
    b"\xff",
    b"[" * 100_000,
    b'{"max_position_embeddings": 1e99, "num_attention_heads": "32"}',
    b'{"num_attention_heads": [32], "num_key_value_heads": -4, "max_position_embeddings": 0}',
    b'{"max_position_embeddings": 1000000, "rope_scaling": {"factor": Infinity}}',
    b'{"max_position_embeddings": 1000000, "rope_parameters": {"a": {"factor": NaN}, "b": 1}}',
    b'{"max_position_embeddings": true, "rope_scaling": [4]}',
    b'{"text_config": 5}',
    b'{"num_hidden_layers": 4, "num_attention_heads": 24, "hidden_size": Infinity}',
    b'{"num_hidden_layers": 2, "layer_types": [7, null], "num_attention_heads": 24}',
    b'{"num_hidden_layers": 2, "layer_types": ["sliding_attention", "sliding_attention"],'
    b' "num_attention_heads": 24, "head_dim": 8}',
    b'{"num_hidden_layers": 2, "full_attention_interval": 2, "linear_num_value_heads": "x",'
    b' "num_attention_heads": 24, "head_dim": 8}',
    b'{"num_hidden_layers": 2, "kv_lora_rank": 8, "qk_rope_head_dim": [1]}',
    b'{"num_hidden_layers": 2, "num_attention_heads": 24, "head_dim": 8, "attn_type_list": 3}',
]


@pytest.mark.parametrize("content", STRANGE, ids=range(len(STRANGE)))
def test_an_invalid_config_refuses_no_fleet(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "config.json").write_bytes(content)
    (tmp_path / "fleet.yml").write_text(FLEET)
    fleet.load(tmp_path / "fleet.yml")


def test_the_suggested_number_of_gpus_divides_the_heads(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    path = tmp_path / "fleet.yml"
    for heads, cached, gpus, suggested in ((32, 8, 24, 16), (24, 4, 3, 2), (40, 8, 10**9, 40)):
        config = {"num_attention_heads": heads, "num_key_value_heads": cached}
        (tmp_path / "w" / "config.json").write_text(json.dumps(config))
        path.write_text(FLEET.replace("tensor_parallel: 24", f"tensor_parallel: {gpus}"))
        try:
            problems = fleet.load(path).warnings
        except fleet.FleetError as error:
            problems = error.problems
        assert any(
            f"is {gpus}, which does not divide" in str(problem)
            and str(problem).endswith(f"Write {suggested}.")
            for problem in problems
        ), problems


def test_the_window_includes_rope_scaling_of_any_layer() -> None:
    config = {"max_position_embeddings": 8192, "rope_parameters": {"full": {"factor": 8.0}}}
    assert model_config.largest_window(config) == 65536
    assert model_config.largest_window({"text_config": {}}) is None
