"""Pure: from the plan of an engine to its command line, environment and unit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from pyinfra.api.exceptions import DeployError

from mirrorfleet.config import reading
from mirrorfleet.planning import origin
from mirrorfleet.planning.vllm import NodesPlan, VllmPlan
from mirrorfleet.roles import proof
from mirrorfleet.roles.proof.canary import hooks as canary_hooks
from mirrorfleet.roles.proof.canary import target
from mirrorfleet.roles.proof.remedies import expectations
from mirrorfleet.roles.vllm import accept
from mirrorfleet.roles.vllm.command_line import TEMPLATE, arguments, variables
from mirrorfleet.roles.vllm.devices import UNIT as DEVICES
from mirrorfleet.roles.vllm.remedies import remedies
from mirrorfleet.roles.vllm.software import ENVIRONMENTS
from mirrorfleet.runtime.canary import Canary
from mirrorfleet.runtime.dns import networks
from mirrorfleet.runtime.paths import ROOT, STATE
from mirrorfleet.runtime.service import Installed, Service
from mirrorfleet.runtime.shell import shell
from mirrorfleet.runtime.text import exec_start, template

USER = "mirrorfleet-vllm"
HERE = Path(__file__).parent
FILES = HERE / "files"

EXPLAIN, WHOLE, NODES, TURNS = (
    (FILES / name).read_text(encoding="utf-8")
    for name in ("diagnose.py", "check_weights.py", "node_launcher.py", "gpu_turns.py")
)


NAMES = "vllm-*"
"""A pattern for the names of all engines' services."""

START = 1200
"""Seconds until an engine must be ready: a large model needs up to 20 minutes to load."""

CANARY = 600
"""Maximum seconds of the canary: a slow engine is not measured."""


def name(engine: VllmPlan) -> str:
    """Return the name of an engine's service."""
    return f"vllm-{engine.model}"


def port(engine: VllmPlan) -> int:
    """Return the port on which an engine receives requests, or a follower node its first node."""
    return engine.port if engine.nodes is None or engine.is_head else engine.nodes.port


def installed(engine: VllmPlan, weights: str) -> Installed:
    """Return what all generations of an engine share; ``weights`` is the present directory."""
    follows = engine.nodes is not None and not engine.is_head
    token = f"{STATE}/{name(engine)}/word"
    return Installed(
        name=name(engine),
        user=USER,
        port=port(engine),
        software=ENVIRONMENTS,
        hooks=(shell(FILES / "follow_first_node.sh") if follows else _ready(engine))
        + canary_hooks(canary(engine))
        + _diagnosis(engine, weights),
        seconds=60 if follows else START,
        follows=token if follows else "",
    )


def canary(engine: VllmPlan) -> Canary | None:
    """Return the canary of an engine; ``None`` for a follower node or a pooling model."""
    if engine.task or not engine.is_head:
        return None
    asked = target(
        engine.model,
        engine.context,
        tools=engine.proof.abilities.tools,
        replicas=engine.data_parallel,
    )
    return Canary(
        service=name(engine),
        title="vLLM",
        url=origin(engine.listen),
        port=engine.port,
        user=USER,
        key="VLLM_API_KEY",
        seconds=CANARY,
        targets=(asked,),
    )


def service(engine: VllmPlan, environment: str, weights: str, api_key: str | None) -> Service:
    """Return the service of one engine.

    ``environment`` is the directory of its Python environment, ``weights`` that of its weights.
    """
    command = [f"{environment}/bin/vllm", "serve", weights, *arguments(engine)]
    if engine.nodes:
        return _node(engine, engine.nodes, command, environment, weights, api_key)
    shared = {"gpu_turns.py": TURNS} if engine.shares_gpus_with else {}
    return Service(
        **vars(installed(engine, weights)),
        unit=_unit(engine, exec_start([*_turn(engine, environment), *command])),
        environment=variables(engine, environment, api_key),
        files={"serves.json": _json(expected(engine)), **_template(engine), **shared},
        check=_check(engine, environment, weights),
        check_user="root" if engine.build == "cuda" else "",
    )


def _turn(engine: VllmPlan, environment: str) -> list[str]:
    """Return the words before a command that starts only while no other engine on its GPUs does."""
    if not engine.shares_gpus_with:
        return []
    program = f"{ROOT}/{name(engine)}/current/gpu_turns.py"
    health = f"{origin(engine.listen)}:{engine.port}/health"
    return [f"{environment}/bin/python", "-I", program, health, ",".join(map(str, engine.devices))]


def _template(engine: VllmPlan) -> dict[str, str]:
    """Return the file of a generation with its chat template; empty without an own one."""
    if engine.chat_template is None:
        return {}
    try:
        return {TEMPLATE: reading.text(engine.chat_template)}
    except reading.Unreadable as unreadable:
        raise DeployError(f"models.{engine.model}.chat_template: {unreadable}") from None


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
    shared += _template(engine).values()
    settings = {
        "addresses": [each.address for each in nodes.members],
        "rank": nodes.rank,
        "port": nodes.port,
        "command": [*command, *_node_options(nodes)],
        # The first node has them in its environment file, with the key.
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
            "nodes.json": _json(settings),
            **_template(engine),
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


def _node_options(nodes: NodesPlan) -> list[str]:
    """Return the options of vLLM that connect the nodes."""
    return [
        "--distributed-executor-backend=mp",
        f"--nnodes={len(nodes.members)}",
        f"--node-rank={nodes.rank}",
        f"--master-addr={nodes.members[0].address}",
        f"--master-port={nodes.port + 1}",
        *(["--headless"] if nodes.rank else []),
    ]


def _peers(nodes: NodesPlan) -> list[str]:
    """Return the networks with which a node exchanges packets; none means all networks.

    vLLM, Gloo and NCCL listen on ports that are not known in advance.
    """
    if nodes.rank == 0 and not nodes.allowed_sources:
        return []
    sources = [*(member.address for member in nodes.members), *nodes.allowed_sources]
    return sorted({str(network) for source in sources for network in networks(source)})


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
        shares=bool(engine.shares_gpus_with),
        weights=weights,
        peers=peers,
    )


def _check(engine: VllmPlan, environment: str, weights: str) -> tuple[str, ...]:
    """Return the command that checks a new generation. With CUDA, root runs it, to start a unit."""
    if engine.build == "cpu":
        return verify_weights("check", weights)
    return accept.command(
        name=name(engine),
        user=USER,
        directory=f"{ROOT}/{name(engine)}",
        environment=environment,
        weights=weights,
        whole=WHOLE,
        variables=variables(engine, environment, None),
    )


def _diagnosis(engine: VllmPlan, weights: str) -> str:
    nodes = len(engine.nodes.members) if engine.nodes else 1
    return shell(FILES / "diagnose.sh", explain=EXPLAIN, weights=weights, nodes=nodes)


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1) + "\n"


def verify_weights(mode: str, weights: str) -> tuple[str, ...]:
    """Return the command that verifies weights; check_weights.py describes its modes."""
    return ("python3", "-c", WHOLE, mode, weights)


def expected(engine: VllmPlan) -> dict[str, Any]:
    """Return what smoke_test.py expects of an engine.

    It is a file of the generation, so that a rollback checks what the former generation had.
    """
    found = {
        "model": engine.model,
        "context": engine.context,
        "parser": engine.tool_parser,
        "concurrency": engine.concurrency,
    }
    return {**found, "task": engine.task} if engine.task else found


@cache
def _prove() -> str:
    """Return the program that asks an engine a session before it serves."""
    return proof.program(FILES / "smoke_test.py")


def _ready(engine: VllmPlan) -> str:
    """Return the shell function that checks whether an engine is ready."""
    return shell(
        FILES / "ready.sh",
        program=_prove(),
        abilities=json.dumps(
            expectations(engine.proof, remedies(engine.model, engine.proof, engine.arguments))
        ),
        url=origin(engine.listen),
        user=USER,
    )
