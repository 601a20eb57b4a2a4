"""Pure: from the plan of an engine to its command line, environment and unit."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from fleet.plan import VllmPlan, http
from roles.host.places import ROOT, STATE
from roles.host.service import Service
from roles.host.text import template

USER = "mirrorfleet-vllm"
HERE = Path(__file__).parent

PROVE, EXPLAIN, WHOLE = (
    (HERE / "files" / name).read_text(encoding="utf-8")
    for name in ("prove.py", "explain.py", "whole.py")
)

NAMES = "vllm-*"
"""The services of all engines, on any host."""

START = 1200
"""Seconds: a large model needs up to 20 minutes to load."""


def name(engine: VllmPlan) -> str:
    """Return the name of an engine's service."""
    return f"vllm-{engine.model}"


def service(engine: VllmPlan, environment: str, weights: str, api_key: str | None) -> Service:
    """Return the service of one engine.

    ``environment`` is the directory of its Python environment, ``weights`` that of its weights.
    """
    command = shlex.join([f"{environment}/bin/vllm", "serve", weights, *arguments(engine)])
    return Service(
        name=name(engine),
        user=USER,
        port=engine.port,
        software=environment,
        unit=template(
            HERE / "templates" / "unit.service.j2",
            name=name(engine),
            model=engine.model,
            build=engine.build,
            user=USER,
            directory=f"{ROOT}/{name(engine)}",
            command=command.replace(" --", " \\\n    --"),
        ),
        environment=variables(engine, api_key),
        files={"serves.json": json.dumps(expected(engine), indent=1) + "\n"},
        ready=_ready(engine, environment),
        seconds=START,
        words=f"{environment}/bin/python -I -c {shlex.quote(EXPLAIN)} {weights}",
        check=whole("check", weights),
    )


def whole(mode: str, weights: str) -> str:
    """Return a command that tells whether weights are whole; its modes are those of whole.py."""
    return shlex.join(["python3", "-c", WHOLE, mode, weights])


def arguments(engine: VllmPlan) -> list[str]:
    """Return vLLM's command line after the path of the weights."""
    said = [
        f"--served-model-name={engine.model}",
        f"--host={engine.listen}",
        f"--port={engine.port}",
        f"--max-model-len={engine.context}",
    ]
    if engine.tool_parser:
        said += ["--enable-auto-tool-choice", f"--tool-call-parser={engine.tool_parser}"]
    if engine.reasoning_parser:
        said.append(f"--reasoning-parser={engine.reasoning_parser}")
    for name in ("dtype", "quantization", "kv_cache_dtype", "max_num_seqs"):
        if value := getattr(engine, name):
            said.append(f"--{name.replace('_', '-')}={value}")
    if engine.build == "cpu":
        # Compiling kernels for a lab's tiny model takes longer than it ever saves.
        defaults: dict[str, Any] = {"enforce-eager": True, "kv-cache-memory-bytes": "256M"}
        if not engine.max_num_seqs:
            defaults["max-num-seqs"] = 8
    else:
        said.append(f"--tensor-parallel-size={engine.tensor_parallel}")
        if engine.pipeline_parallel > 1:
            said.append(f"--pipeline-parallel-size={engine.pipeline_parallel}")
        if engine.data_parallel > 1:
            said.append(f"--data-parallel-size={engine.data_parallel}")
        said.append(f"--gpu-memory-utilization={engine.gpu_memory_utilization}")
        defaults = {}
    return said + [option(*each) for each in {**defaults, **engine.arguments}.items()]


def option(name: str, value: Any) -> str:
    """Return one option of `vllm serve` as it is said in the fleet file."""
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    if isinstance(value, dict):
        return f"--{name}={json.dumps(value)}"
    return f"--{name}={value}"


def variables(engine: VllmPlan, api_key: str | None) -> dict[str, str]:
    """Return the environment of the process; the key is here and never on the command line."""
    state = f"{STATE}/{name(engine)}"
    said = {
        "HOME": state,
        "XDG_CACHE_HOME": f"{state}/cache",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        # What the processes of one engine say to each other stays on this machine.
        "VLLM_HOST_IP": "127.0.0.1",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    if engine.devices:
        said["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, engine.devices))
    if engine.build == "cpu":
        # One process less, and none pinned to the core that everybody uses.
        said["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        said["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
    if api_key:
        said["VLLM_API_KEY"] = api_key
    return said


def expected(engine: VllmPlan) -> dict[str, Any]:
    """Return what prove.py holds an engine to.

    It stands in the generation: one that is gone back to is held to what it was made for.
    """
    return {
        "model": engine.model,
        "context": engine.context,
        "parser": engine.tool_parser,
        "concurrency": engine.concurrency,
    }


def _ready(engine: VllmPlan, environment: str) -> str:
    """Return a command that has the engine serve: /health is well before it can.

    The key goes from the environment file into the program's environment, through no argv.
    """
    return (
        f"(set -a; . current/environment; exec {environment}/bin/python -I -c "
        f'{shlex.quote(PROVE)} "{http(engine.listen, "$port")}" <current/serves.json)'
    )
