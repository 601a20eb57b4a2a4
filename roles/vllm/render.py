"""Pure: from the plan of an engine to its command line, environment and unit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from mirrorfleet.planning import origin
from mirrorfleet.planning.vllm import NodesPlan, VllmPlan
from mirrorfleet.roles.vllm import accept
from mirrorfleet.roles.vllm.devices import UNIT as DEVICES
from mirrorfleet.roles.vllm.software import ENVIRONMENTS
from mirrorfleet.runtime.dns import networks
from mirrorfleet.runtime.paths import ROOT, STATE
from mirrorfleet.runtime.service import Installed, Service
from mirrorfleet.runtime.shell import shell
from mirrorfleet.runtime.text import exec_start, template

USER = "mirrorfleet-vllm"
HERE = Path(__file__).parent
FILES = HERE / "files"

PROVE, EXPLAIN, WHOLE, NODES = (
    (FILES / name).read_text(encoding="utf-8")
    for name in ("smoke_test.py", "diagnose.py", "check_weights.py", "node_launcher.py")
)


NAMES = "vllm-*"
"""The services of all engines, on any host."""

START = 1200
"""Seconds: a large model needs up to 20 minutes to load."""


SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

JOBS = "8"
"""Kernels that ninja compiles at the same time: by itself it takes every core, and one of
FlashInfer's can take several GB of memory."""


def name(engine: VllmPlan) -> str:
    """Return the name of an engine's service."""
    return f"vllm-{engine.model}"


def port(engine: VllmPlan) -> int:
    """Return the port on which an engine is asked or, of another node, waits for the first."""
    return engine.port if engine.nodes is None or engine.is_head else engine.nodes.port


def installed(engine: VllmPlan, weights: str) -> Installed:
    """Return what holds for every generation of an engine; ``weights`` are those of now."""
    follows = engine.nodes is not None and not engine.is_head
    word = f"{STATE}/{name(engine)}/word"
    return Installed(
        name=name(engine),
        user=USER,
        port=port(engine),
        software=ENVIRONMENTS,
        hooks=(shell(FILES / "follow_first_node.sh") if follows else _ready(engine))
        + _words(engine, weights),
        seconds=60 if follows else START,
        follows=word if follows else "",
    )


def service(engine: VllmPlan, environment: str, weights: str, api_key: str | None) -> Service:
    """Return the service of one engine.

    ``environment`` is the directory of its Python environment, ``weights`` that of its weights.
    """
    command = [f"{environment}/bin/vllm", "serve", weights, *arguments(engine)]
    if engine.nodes:
        return _node(engine, engine.nodes, command, environment, weights, api_key)
    return Service(
        **vars(installed(engine, weights)),
        unit=_unit(engine, exec_start(command)),
        environment=variables(engine, environment, api_key),
        files={"serves.json": _json(expected(engine))},
        check=_check(engine, environment, weights),
        check_user="root" if engine.build == "cuda" else "",
    )


def _node(
    engine: VllmPlan,
    nodes: NodesPlan,
    command: list[str],
    environment: str,
    weights: str,
    api_key: str | None,
) -> Service:
    """Return the service of one of the nodes that serve a model together: see node_launcher.py."""
    directory = f"{ROOT}/{name(engine)}"
    shared = [engine.version, engine.build, *command[1:], str(nodes.members), nodes.port]
    shared += sorted(engine.environment.items())
    said = {
        "addresses": [each.address for each in nodes.members],
        "rank": nodes.rank,
        "port": nodes.port,
        "command": [*command, *_place(nodes)],
        # The first node's stand in its environment file, with the key.
        "environment": {} if engine.is_head else variables(engine, environment, None),
    }
    started = Service(
        **vars(installed(engine, weights)),
        unit=_unit(
            engine,
            f"{environment}/bin/python -I {directory}/current/node_launcher.py {directory}",
            weights=weights,
            peers=_peers(nodes),
        ),
        environment={},
        files={
            "node_launcher.py": NODES,
            "nodes.json": _json(said),
            "word": sha256(json.dumps(shared).encode()).hexdigest()[:12],
        },
        check=_check(engine, environment, weights),
        check_user="root" if engine.build == "cuda" else "",
    )
    if not engine.is_head:
        return started
    return replace(
        started,
        environment=variables(engine, environment, api_key),
        files={**started.files, "serves.json": _json(expected(engine))},
    )


def _place(nodes: NodesPlan) -> list[str]:
    """Return what each node is told beside what all are told alike."""
    return [
        "--distributed-executor-backend=mp",
        f"--nnodes={len(nodes.members)}",
        f"--node-rank={nodes.rank}",
        f"--master-addr={nodes.members[0].address}",
        f"--master-port={nodes.port + 1}",
        *(["--headless"] if nodes.rank else []),
    ]


def _peers(nodes: NodesPlan) -> list[str]:
    """Return with whom a node exchanges packets; nothing where that is everybody.

    vLLM, Gloo and NCCL listen on ports that nobody can know before.
    """
    if nodes.rank == 0 and not nodes.allowed_sources:
        return []
    known = [*(each.address for each in nodes.members), *nodes.allowed_sources]
    return sorted({str(each) for who in known for each in networks(who)})


def _unit(engine: VllmPlan, command: str, weights: str = "", peers: Sequence[str] = ()) -> str:
    return template(
        HERE / "templates" / "unit.service.j2",
        name=name(engine),
        model=engine.model,
        build=engine.build,
        devices=DEVICES,
        user=USER,
        directory=f"{ROOT}/{name(engine)}",
        command=command,
        nodes=engine.nodes,
        weights=weights,
        peers=peers,
    )


def _check(engine: VllmPlan, environment: str, weights: str) -> tuple[str, ...]:
    """Return the command that accepts a new generation: with CUDA, as root, to start a unit."""
    if engine.build == "cpu":
        return whole("check", weights)
    return accept.command(
        name=name(engine),
        user=USER,
        directory=f"{ROOT}/{name(engine)}",
        environment=environment,
        weights=weights,
        whole=WHOLE,
        variables=variables(engine, environment, None),
    )


def _words(engine: VllmPlan, weights: str) -> str:
    nodes = len(engine.nodes.members) if engine.nodes else 1
    return shell(FILES / "diagnose.sh", explain=EXPLAIN, weights=weights, nodes=nodes)


def _json(said: Mapping[str, Any]) -> str:
    return json.dumps(said, indent=1) + "\n"


def whole(mode: str, weights: str) -> tuple[str, ...]:
    """Return the command that checks weights; check_weights.py describes its modes."""
    return ("python3", "-c", WHOLE, mode, weights)


def arguments(engine: VllmPlan) -> list[str]:
    """Return vLLM's command line after the path of the weights."""
    said = [
        f"--served-model-name={engine.model}",
        f"--host={engine.nodes.members[0].address if engine.nodes else engine.listen}",
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
        if engine.nodes:
            # Without a look at the model at its start, the later nodes have no room for what comes
            # from the ones before, and vLLM takes none where it is to compile nothing.
            del defaults["enforce-eager"]
            defaults["compilation-config"] = {"mode": 2, "backend": "eager"}
            said.append(f"--pipeline-parallel-size={engine.pipeline_parallel}")
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


def variables(engine: VllmPlan, environment: str, api_key: str | None) -> dict[str, str]:
    """Return the environment of the process; the key is here and never on the command line.

    ``environment`` is the directory of its Python environment.
    """
    state = f"{STATE}/{name(engine)}"
    said = {
        "HOME": state,
        "XDG_CACHE_HOME": f"{state}/cache",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
    }
    if not engine.nodes:
        # What the processes of one engine say to each other stays on this machine.
        said["VLLM_HOST_IP"] = "127.0.0.1"
        said["GLOO_SOCKET_IFNAME"] = "lo"
    if engine.devices:
        said["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, engine.devices))
    if engine.cuda_compat:
        said["LD_LIBRARY_PATH"] = engine.cuda_compat
    if engine.build == "cuda":
        said |= _cuda(environment)
    else:
        # One process less, and none pinned to the core that everybody uses.
        said["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        said["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
    if api_key:
        said["VLLM_API_KEY"] = api_key
    # Last: what the fleet file says, and the check has let pass.
    return said | dict(engine.environment)


def _cuda(environment: str) -> dict[str, str]:
    """Return what FlashInfer, DeepGEMM and Triton need to compile for the GPU, and how GPUs count.

    With CUDA_HOME, no older toolkit of the host's is found first.
    """
    return {
        "PATH": f"{environment}/bin:{environment}/cuda/bin:{SYSTEM_PATH}",
        "CUDA_HOME": f"{environment}/cuda",
        "MAX_JOBS": JOBS,
        # As nvidia-smi counts, and so the fleet file: CUDA by itself begins with the fastest.
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    }


def expected(engine: VllmPlan) -> dict[str, Any]:
    """Return what smoke_test.py holds an engine to.

    It stands in the generation: one that is gone back to is held to what it was made for.
    """
    return {
        "model": engine.model,
        "context": engine.context,
        "parser": engine.tool_parser,
        "concurrency": engine.concurrency,
    }


def _ready(engine: VllmPlan) -> str:
    """Return the shell function that proves an engine."""
    return shell(FILES / "ready.sh", program=PROVE, url=origin(engine.listen), user=USER)
