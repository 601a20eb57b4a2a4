"""Pure: from the plan of an engine to vLLM's command line and environment."""

from __future__ import annotations

import json
from typing import Any

from mirrorfleet.planning.vllm import TEMPLATE, VllmPlan
from mirrorfleet.runtime.paths import STATE

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

JOBS = "8"
"""The most kernels that ninja compiles at the same time. By default it uses every core, and one
kernel of FlashInfer can need several GB of memory."""


def arguments(engine: VllmPlan) -> list[str]:
    """Return vLLM's options, which follow the path of the weights."""
    options = [
        f"--served-model-name={engine.model}",
        f"--host={engine.nodes.members[0].address if engine.nodes else engine.listen}",
        f"--port={engine.port}",
        f"--max-model-len={engine.context}",
    ]
    if engine.tool_parser:
        options += ["--enable-auto-tool-choice", f"--tool-call-parser={engine.tool_parser}"]
    if engine.reasoning_parser:
        options.append(f"--reasoning-parser={engine.reasoning_parser}")
    if engine.template_arguments:
        options.append(option(TEMPLATE, dict(engine.template_arguments)))
    for name in ("dtype", "quantization", "kv_cache_dtype", "max_num_seqs"):
        if value := getattr(engine, name):
            options.append(f"--{name.replace('_', '-')}={value}")
    if engine.build == "cpu":
        # Compiling kernels for the lab's tiny model takes longer than it saves.
        defaults: dict[str, Any] = {"enforce-eager": True, "kv-cache-memory-bytes": "256M"}
        if engine.nodes:
            # Later nodes need buffers for the tensors of earlier ones. vLLM allocates them only if
            # it traces the model at start, which enforce-eager switches off.
            del defaults["enforce-eager"]
            defaults["compilation-config"] = {"mode": 2, "backend": "eager"}
            options.append(f"--pipeline-parallel-size={engine.pipeline_parallel}")
        if not engine.max_num_seqs:
            defaults["max-num-seqs"] = 8
    else:
        options.append(f"--tensor-parallel-size={engine.tensor_parallel}")
        if engine.pipeline_parallel > 1:
            options.append(f"--pipeline-parallel-size={engine.pipeline_parallel}")
        if engine.data_parallel > 1:
            options.append(f"--data-parallel-size={engine.data_parallel}")
        options.append(f"--gpu-memory-utilization={engine.gpu_memory_utilization}")
        defaults = {}
    return options + [option(*each) for each in {**defaults, **engine.arguments}.items()]


def option(name: str, value: Any) -> str:
    """Return one option of `vllm serve` for a name and value of the fleet file."""
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    if isinstance(value, dict):
        return f"--{name}={json.dumps(value)}"
    return f"--{name}={value}"


def variables(engine: VllmPlan, environment: str, api_key: str | None) -> dict[str, str]:
    """Return the environment of the process. It has the key, which the command line must not have.

    ``environment`` is the directory of its Python environment.
    """
    state = f"{STATE}/{engine.service}"
    values = {
        "HOME": state,
        "XDG_CACHE_HOME": f"{state}/cache",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
    }
    if not engine.nodes:
        # The processes of one engine communicate on the loopback interface only.
        values["VLLM_HOST_IP"] = "127.0.0.1"
        values["GLOO_SOCKET_IFNAME"] = "lo"
    if engine.devices:
        values["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, engine.devices))
    if engine.cuda_compat:
        values["LD_LIBRARY_PATH"] = engine.cuda_compat
    if engine.build == "cuda":
        values |= _cuda(environment)
    else:
        # One process less, and no thread bound to a core that other processes use.
        values["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        values["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
    if api_key:
        values["VLLM_API_KEY"] = api_key
    # Last: the environment of the fleet file, which the check has accepted.
    return values | dict(engine.environment)


def _cuda(environment: str) -> dict[str, str]:
    """Return the variables for compiling on the GPU (FlashInfer, DeepGEMM, Triton), and its index.

    With CUDA_HOME, the compilers do not find an older toolkit of the host first.
    """
    return {
        "PATH": f"{environment}/bin:{environment}/cuda/bin:{SYSTEM_PATH}",
        "CUDA_HOME": f"{environment}/cuda",
        "MAX_JOBS": JOBS,
        # GPU numbers as in nvidia-smi and the fleet file. CUDA's default puts the fastest first.
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    }
