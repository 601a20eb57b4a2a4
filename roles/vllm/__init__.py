"""vLLM on an engine host: its environment, the weights, and one service per model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pyinfra.api import Host, deploy

from mirrorfleet import runtime
from mirrorfleet.planning import HostPlan, VllmPlan
from mirrorfleet.roles.vllm import devices, gpus, nodes, render, weights
from mirrorfleet.runtime import drift, generations, python, service, service_removal, undone
from mirrorfleet.runtime.commands import Commands, operation
from mirrorfleet.runtime.observe import Observation, Question
from mirrorfleet.runtime.paths import ROOT, STATE
from mirrorfleet.runtime.report import Change, lacking
from mirrorfleet.runtime.rollout import Step, behind, due_before, step_by_step
from mirrorfleet.runtime.secrets import reveal

SIZE = {"cpu": 2500 * 10**6, "cuda": 8700 * 10**6}
"""Bytes of an environment at the least: installed from its lock file for x86_64 and Python 3.11,
0.32.0 for CPUs takes 2.56 GB, with CUDA 8.79 GB."""

WHEELS = {"cpu": 600 * 10**6, "cuda": 3900 * 10**6}
"""Bytes of what it is installed from: 0.63 GB of wheels, and 3.95 GB."""

PACKAGES = {"cpu": ["libnuma1"], "cuda": ["g++", "python3-dev"]}
"""With CUDA, Triton and FlashInfer compile for the GPU and the Python that they find: without a
compiler and Python's headers, no engine starts. They are installed before the environment, which
needs the compiler too: see cuda_tree.sh."""

CUDA_TREE = re.sub(
    r"^#.*\n", "", (Path(__file__).parent / "files/cuda_tree.sh").read_text("utf-8"), flags=re.M
)
"""Without its comments: what completes an environment is part of the environment's name."""

# The command looks itself up under the name of the CUDA build.
CPU_BUILD_IS_VLLM = """\
metadata=$(echo {directory}/lib/python3.*/site-packages)/vllm-{version}+cpu.dist-info
mkdir "$metadata"
printf 'Metadata-Version: 2.1\\nName: vllm\\nVersion: {version}+cpu\\n' >"$metadata/METADATA"
"""


def questions(plan: HostPlan) -> list[Question]:
    """What must be known of an engine host, or of one that was."""
    asked: list[Question] = [service_removal.question(render.NAMES), *devices.questions(plan)]
    for engine in plan.engines:
        asked += [python.QUESTION, *(("package", name) for name in packages(plan))]
        asked += [("disk", place) for place in (ROOT, STATE)]
        asked += gpus.questions(engine, weights.location(engine.model, engine.weights))
        asked += [environment(engine).question]
        asked += weights.questions(engine)
        asked += service.questions(render.name(engine), render.USER, render.port(engine))
        asked += nodes.questions(engine)
    return asked


def refusals(plan: HostPlan, seen: Observation) -> list[str]:
    """What this host lacks for its engines."""
    if not plan.engines:
        return []
    whys = python.refusals(
        seen, map(environment, plan.engines), pushed=plan.packages == "controller"
    )
    for engine in plan.engines:
        whys += service.refusals(service_of(engine, seen), seen)
        place, lock = weights.location(engine.model, engine.weights), engine.lock
        whys += gpus.refusals(plan, engine, lock, place, seen)
        whys += nodes.refusals(plan, engine, seen)
        if not generations.is_switched(service_of(engine, seen), seen):
            whys += nodes.left_out(engine)
    return [*lacking("engines", [*whys, *weights.refusals(plan.engines, seen)])]


def changes(plan: HostPlan, seen: Observation) -> Iterator[Change]:
    """All that will be changed on an engine host, one by one."""
    if undone.skips(plan, "engines"):
        return
    if plan.engines:
        yield from runtime.lacks(seen, packages(plan), render.USER)
        yield from devices.changes(plan, seen)
    for engine in plan.engines:
        yield from python.changes(environment(engine), seen)
        yield from weights.changes(engine, seen)
        yield from drift.changes(service_of(engine, seen), seen)
        if _follows(engine) and generations.is_switched(service_of(engine, seen), seen):
            unit = service_of(engine, seen).unit_name
            yield Change(f"{unit} will be restarted, with another node of '{engine.model}'")
    yield from service_removal.changes(_departed(plan, seen))


def fetch(plan: HostPlan, seen: Observation) -> None:
    """Bring to this machine what the host will be sent."""
    for engine in plan.engines if not undone.skips(plan, "engines") else ():
        python.fetch(environment(engine), plan, seen)


@deploy("vLLM")
def serve() -> None:
    """Make the engines of this host serve their models, if it is to have any."""
    if not runtime.plan().engines or undone.skips(runtime.plan(), "engines"):
        return
    runtime.ensure_packages(*packages(runtime.plan()))
    runtime.ensure_user(render.USER)
    prepare(name="device files of the GPUs, at every boot")
    install(name="Python environment, hash-locked")
    fetch_weights(name="weights")
    place(name="new generation, beside the running one")
    join(name="nodes that wait for the first one of their model")
    # The replicas of a model one after the other; hosts without a model in common, together.
    switch(name="switch, restart, wait until it serves")
    follow(name="nodes that have followed the first one")


@deploy("vLLM")
def leave() -> None:
    """Take the engines that have left the fleet file off this host."""
    if not undone.skips(runtime.plan(), "engines"):
        stop(name="engines that have left the fleet file")


@operation
def prepare() -> Commands:
    """Have the GPUs' device files made before any engine starts."""
    yield from devices.install(runtime.plan(), runtime.seen())


@operation
def install() -> Commands:
    """Build the environments that the host lacks."""
    built = set()
    for engine in runtime.plan().engines:
        wanted = environment(engine)
        if wanted not in built:
            yield from python.install(wanted, runtime.plan(), runtime.seen())
        built.add(wanted)


@operation
def fetch_weights() -> Commands:
    """Bring the weights that the host lacks, or what has gone wrong of them."""
    for engine in runtime.plan().engines:
        directory = python.standing(environment(engine), runtime.seen()).directory
        yield from weights.fetch(engine, directory, runtime.seen())


@operation
def place() -> Commands:
    """Put changed generations on the host; what runs is not touched."""
    for engine in runtime.plan().engines:
        yield from generations.place(service_of(engine, runtime.seen()), runtime.seen())


@operation
def join() -> Commands:
    """Let the nodes wait that do not answer themselves; what they run goes on until it is ended.

    All of them before any first one is switched: that one waits for them, and ends what they run.
    """
    for engine in runtime.plan().engines:
        if not engine.answers:
            yield from generations.stand_by(service_of(engine, runtime.seen()), runtime.seen())


@operation
def follow() -> Commands:
    """Put on record that nodes have come to what their first one has proved, or go back with it."""
    for engine in runtime.plan().engines:
        if not engine.answers:
            yield from generations.prove(service_of(engine, runtime.seen()), runtime.seen())


@operation
def switch() -> Commands:
    """Switch to changed generations, one engine after the other."""
    yield from step_by_step(
        Step(engine.model, partial(_ahead, engine), _switch(engine))
        for engine in runtime.plan().engines
        if engine.answers
    )


def _switch(engine: VllmPlan) -> Commands:
    """Switch one engine, and with it the other nodes of its model."""
    wanted, seen = service_of(engine, runtime.seen()), runtime.seen()
    commands = generations.switch(wanted, seen, anew=_follows(engine))
    return behind(nodes.is_other(engine), commands) if engine.nodes else commands


def _follows(engine: VllmPlan) -> bool:
    """Does a first node start anew, because another one of its model is to?"""
    return engine.answers and any(
        not drift.is_started(service_of(each, other.data.seen), other.data.seen)
        for other in nodes.others(engine)
        for each in other.data.plan.engines
        if each.model == engine.model
    )


def _ahead(engine: VllmPlan) -> list[Host]:
    """Return the hosts whose replicas of the model are switched before this one.

    One that does not serve yet takes nothing from anybody: it waits for none.
    """
    if not drift.is_listening(service_of(engine, runtime.seen()), runtime.seen()):
        return []
    return due_before(
        lambda plan, seen: any(
            each.model == engine.model
            and each.answers
            and (_is_due(plan, seen, each.model) or _follows(each))
            for each in plan.engines
        )
    )


def _is_due(plan: HostPlan, seen: Observation, model: str) -> bool:
    return any(
        each.model == model and not generations.is_switched(service_of(each, seen), seen)
        for each in plan.engines
    )


@operation
def stop() -> Commands:
    """Stop and remove engines. Weights and environments stay."""
    yield from service_removal.remove(_departed(runtime.plan(), runtime.seen()))


def _departed(plan: HostPlan, seen: Observation) -> list[str]:
    engines = service_removal.departed(render.NAMES, map(render.name, plan.engines), seen)
    return [*engines, *devices.departed(plan, seen)]


def packages(plan: HostPlan) -> list[str]:
    """Return the system packages that the engines of a host need."""
    needed = {name for engine in plan.engines for name in PACKAGES[engine.build]}
    return ["python3", "curl", *sorted(needed)]


def environment(engine: VllmPlan) -> python.Environment:
    """Return the Python environment of an engine."""
    size, wheels = SIZE[engine.build], WHEELS[engine.build]
    if engine.build == "cuda":
        finish = f"environment={{directory}}\n{CUDA_TREE}"
    else:
        finish = CPU_BUILD_IS_VLLM.replace("{version}", engine.version)
    return python.Environment("vllm", engine.lock, finish, size=size, wheels=wheels)


def service_of(engine: VllmPlan, seen: Observation) -> service.Service:
    return render.service(
        engine,
        python.standing(environment(engine), seen).directory,
        weights.location(engine.model, engine.weights),
        reveal(engine.api_key) if engine.api_key and engine.answers else None,
    )
