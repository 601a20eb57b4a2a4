"""Ask vLLM for the memory of public models: the figures of tests/fleet/test_kv_cache.py.

    PYTHON tools/kv_cache_figures.py [MODEL ...] >tests/fleet/models/vllm-0.32.0.jsonl

PYTHON is that of an environment with the CPU build of vLLM, such as the lab's engine host has. The
models of tests/fleet/models/public.yml are built without their weights. A model that the CPU build
refuses is reported on standard error. It takes ten minutes.
"""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import yaml

MODELS = Path(__file__).parents[1] / "tests/fleet/models/public.yml"

CASES = (
    ("qwen3-coder-30b-a3b", 2, 131072, "auto"),
    ("qwen3-coder-30b-a3b", 8, 131072, "fp8"),
    ("gpt-oss-120b", 1, 131072, "auto"),
    ("gemma-3-27b", 2, 131072, "auto"),
    ("qwen3-coder-next", 1, 262144, "auto"),
    ("qwen3-coder-next", 2, 262144, "fp8"),
    ("kimi-k2", 8, 131072, "auto"),
    ("nemotron-nano-9b-v2", 1, 131072, "auto"),
    ("nemotron-nano-9b-v2", 2, 131072, "auto"),
    ("glm-4.7", 8, 202752, "auto"),
    ("minimax-m2", 4, 196608, "auto"),
    ("llama-3.3-70b", 4, 131072, "fp8"),
    ("mistral-small-3.2-24b", 1, 131072, "auto"),
    ("qwen2.5-coder-32b", 2, 32768, "auto"),
    ("glm-4.5-air", 2, 131072, "auto"),
    ("gpt-oss-20b", 1, 131072, "auto"),
    ("mistral-7b-v0.1", 1, 32768, "auto"),
)
"""Model, tensor_parallel, context, kv_cache_dtype.

The CPU build refuses the other models of the file: sparse attention, experts without a gate, and
models with vision.
"""

BLOCK = 32
"""Tokens of a block: the smallest that the CPU build has for sliding layers. GPUs have 16."""


def figures(config: dict[str, Any], parallel: int, context: int, kind: str) -> dict[str, Any]:
    """Return what vLLM reserves for one full window, and the bytes of a GPU's parameters."""
    import torch  # type: ignore[import-not-found]
    from vllm.config import get_layers_from_vllm_config, set_current_vllm_config
    from vllm.distributed import parallel_state
    from vllm.engine.arg_utils import EngineArgs
    from vllm.model_executor.layers.attention_layer_base import AttentionLayerBase
    from vllm.model_executor.model_loader.utils import initialize_model
    from vllm.platforms import current_platform
    from vllm.utils.torch_utils import set_default_torch_dtype
    from vllm.v1.core import kv_cache_utils

    directory = Path(tempfile.mkdtemp())
    (directory / "config.json").write_text(json.dumps(config))
    vllm = EngineArgs(
        model=str(directory),
        skip_tokenizer_init=True,
        load_format="dummy",
        max_model_len=context,
        kv_cache_dtype=kind,
        block_size=BLOCK,
        max_num_batched_tokens=8192,
        enable_prefix_caching=True,
        enforce_eager=True,
    ).create_engine_config()
    vllm.parallel_config.tensor_parallel_size = parallel
    vllm.cache_config.kv_cache_layout = "LBNHC"
    with set_current_vllm_config(vllm):
        if not torch.distributed.is_initialized():
            place = f"file://{directory}/rendezvous"
            parallel_state.init_distributed_environment(1, 0, place, 0, "gloo")
            parallel_state.initialize_model_parallel(1)
        # One process stands for one of several: layers read only this number.
        parallel_state.get_tp_group().world_size = parallel
        with torch.device("meta"), set_default_torch_dtype(vllm.model_config.dtype):
            model = initialize_model(vllm_config=vllm)
        current_platform.update_block_size_for_backend(vllm)
        layers = get_layers_from_vllm_config(vllm, AttentionLayerBase)
        specs = {
            name: spec
            for name, layer in layers.items()
            if (spec := layer.get_kv_cache_spec(vllm)) is not None
        }
    groups = kv_cache_utils.get_kv_cache_groups(vllm, specs)
    return {
        "in_flight": vllm.max_in_flight_tokens,
        "window": kv_cache_utils._max_memory_usage_bytes_from_groups(vllm, groups),
        "weights": sum(each.numel() * each.element_size() for each in model.parameters()),
    }


def main(chosen: list[str]) -> None:
    """Print one line of JSON for each case."""
    models = yaml.safe_load(MODELS.read_text("utf-8"))
    for name, parallel, context, kind in CASES:
        if chosen and name not in chosen:
            continue
        try:
            found = figures(models[name], parallel, context, kind)
        except Exception:
            print(f"{name}: {traceback.format_exc()}", file=sys.stderr)
            continue
        case = {"model": name, "tensor_parallel": parallel, "context": context}
        print(json.dumps({**case, "kv_cache_dtype": kind, "block": BLOCK, **found}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
