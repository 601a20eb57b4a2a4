"""Ollama on a host: its release, one service, and the models that the fleet file gives it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pyinfra.api import Host, deploy
from pyinfra.api.exceptions import DeployError

from mirrorfleet import runtime
from mirrorfleet.planning import HostPlan, OllamaPlan
from mirrorfleet.roles.ollama import models, release, render
from mirrorfleet.runtime import drift, generations, service, service_removal, undone
from mirrorfleet.runtime.commands import Commands, operation, script
from mirrorfleet.runtime.observe import Observation, Question, once
from mirrorfleet.runtime.report import Change, lacking
from mirrorfleet.runtime.rollout import Step, due_before, step_by_step
from mirrorfleet.runtime.shell import shell

FILES = Path(__file__).parent / "files"
PACKAGES = ("python3", "curl", "zstd")


def questions(plan: HostPlan) -> list[Question]:
    """What must be known of a host with Ollama, or of one that had it."""
    ollama, former = plan.ollama, service_removal.question(render.NAME)
    if ollama is None:
        return [former]
    return [
        former,
        *(("package", name) for name in PACKAGES),
        *(("path", release.binary(ollama, each)) for each in ollama.releases.values()),
        *(("path", path) for path in (ollama.models_directory, render.ELSEWHERE)),
        *service.questions(render.NAME, render.USER, ollama.port),
        *models.questions(ollama),
    ]


def refusals(plan: HostPlan, seen: Observation) -> list[str]:
    """What this host lacks for its Ollama."""
    if plan.ollama is None:
        return []
    try:
        return [*lacking("engines", service.refusals(service_of(plan.ollama, seen), seen))]
    except DeployError as error:
        return [*lacking("engines", [str(error)])]


def changes(plan: HostPlan, seen: Observation) -> Iterator[Change]:
    """All that will be changed about a host's Ollama, one by one."""
    ollama = plan.ollama
    if undone.skips(plan, "engines"):
        return
    if ollama is None:
        yield from service_removal.changes(_departed(plan, seen))
        return
    yield from runtime.lacks(seen, PACKAGES, render.USER)
    binary = release.binary(ollama, release.chosen(ollama, seen))
    if binary not in seen.paths:
        yield Change(f"{binary} is missing")
    if _lacks_directory(ollama, seen):
        yield Change(f"{ollama.models_directory} is missing, or the link to it")
    yield from drift.changes(service_of(ollama, seen), seen)
    yield from models.changes(ollama, seen)


def fetch(plan: HostPlan, seen: Observation) -> None:
    """Bring to this machine what the host will be sent."""
    if plan.ollama is not None and not undone.skips(plan, "engines"):
        release.fetch(plan, seen)


@deploy("Ollama")
def serve() -> None:
    """Make the host's Ollama serve its models, if it is to have one."""
    if not runtime.plan().ollama or undone.skips(runtime.plan(), "engines"):
        return
    runtime.ensure_packages(*PACKAGES)
    runtime.ensure_user(render.USER)
    install(name="release, checked by its sha256")
    place(name="new generation, beside the running one")
    switch(name="switch, restart, wait until it serves")
    make_models(name="models: pulled, created, proved, removed")


@deploy("Ollama")
def leave() -> None:
    """Take Ollama off this host, if it has left the fleet file."""
    if not undone.skips(runtime.plan(), "engines"):
        stop(name="server that has left the fleet file")


@operation
def install() -> Commands:
    """Unpack the release if the host lacks it, and make room for models where that is wanted."""
    plan, seen = runtime.plan(), runtime.seen()
    if plan.ollama is None:
        return
    yield from release.install(plan, seen, render.USER)
    if _lacks_directory(plan.ollama, seen):
        directory = plan.ollama.models_directory
        home, link = render.HOME, render.ELSEWHERE
        make = FILES / "models_directory.sh"
        yield script(shell(make, user=render.USER, directory=directory, home=home, link=link))


def _lacks_directory(ollama: OllamaPlan, seen: Observation) -> bool:
    """Are the models to be in a directory that is not the service's own, and is not ready?"""
    needed = {ollama.models_directory, render.ELSEWHERE}
    return not render.is_at_home(ollama) and not needed <= seen.paths


@operation
def place() -> Commands:
    """Put a changed generation on the host; what runs is not touched."""
    if ollama := runtime.plan().ollama:
        yield from generations.place(service_of(ollama, runtime.seen()), runtime.seen())


@operation
def switch() -> Commands:
    """Switch to a changed generation; the models that are there must answer from it.

    Servers that have a model in common do so one after the other.
    """
    if ollama := runtime.plan().ollama:
        commands = generations.switch(service_of(ollama, runtime.seen()), runtime.seen())
        yield from step_by_step([Step(render.NAME, partial(_ahead, ollama), commands)])


def _ahead(ollama: OllamaPlan) -> list[Host]:
    """Return the hosts that are switched before this one. One that does not serve yet waits for
    none."""
    if not drift.is_listening(service_of(ollama, runtime.seen()), runtime.seen()):
        return []
    models = {model.model for model in ollama.models}

    def is_due(plan: HostPlan, seen: Observation) -> bool:
        other = plan.ollama
        return (
            other is not None
            and not models.isdisjoint(model.model for model in other.models)
            and not generations.is_switched(service_of(other, seen), seen)
        )

    return due_before(is_due)


@operation
def make_models() -> Commands:
    """Make the models what they should be. A new one proves itself before the old one goes."""
    plan, seen = runtime.plan().ollama, runtime.seen()
    if plan and (not _runs(plan, seen) or any(models.changes(plan, seen))):
        yield from models.send(plan, seen)
        yield from models.make(plan)


@operation
def stop() -> Commands:
    """Stop and remove the server. Its models and releases stay."""
    yield from service_removal.remove(_departed(runtime.plan(), runtime.seen()))


def _departed(plan: HostPlan, seen: Observation) -> list[str]:
    return service_removal.departed(render.NAME, [render.NAME] if plan.ollama else [], seen)


def _runs(ollama: OllamaPlan, seen: Observation) -> bool:
    wanted = service_of(ollama, seen)
    return drift.is_started(wanted, seen) and drift.is_listening(wanted, seen)


@once
def service_of(ollama: OllamaPlan, seen: Observation) -> service.Service:
    return render.service(ollama, release.directory(ollama, release.chosen(ollama, seen)))
