"""Ollama on an engine host: its release, one service, and the models of the fleet file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pyinfra.api import Host
from pyinfra.api.exceptions import DeployError

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.ollama import OllamaPlan
from mirrorfleet.roles.ollama import disk, gpus, models, release, render
from mirrorfleet.runtime import drift, generations
from mirrorfleet.runtime.canary import Canary
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.facts import Exists, Fact
from mirrorfleet.runtime.observe import Observation, once
from mirrorfleet.runtime.paths import STATE
from mirrorfleet.runtime.problems import error, skipping
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Step
from mirrorfleet.runtime.rollout import Turn, due_before, ordered_rollout
from mirrorfleet.runtime.service import Installed, Service
from mirrorfleet.runtime.service_role import ServiceRole
from mirrorfleet.runtime.shell import shell

PACKAGES = ("python3", "curl", "zstd")


FILES = Path(__file__).parent / "files"


class Ollama(ServiceRole[OllamaPlan]):
    """The Ollama of a host, with all its models."""

    title = "Ollama"
    unit_names = render.NAME
    user = render.USER
    part = "engines"
    marker_of_other_files = render.ELSEWHERE

    def instances(self, plan: HostPlan) -> Sequence[OllamaPlan]:
        return plan.engines_of(OllamaPlan)

    def packages(self, plan: HostPlan, observed: Observation) -> Sequence[str]:
        return PACKAGES

    def installed(self, instance: OllamaPlan, observed: Observation) -> Installed:
        return render.installed(instance)

    def canary(self, instance: OllamaPlan) -> Canary:
        return render.canary(instance)

    def render(self, instance: OllamaPlan, observed: Observation) -> Service:
        return _rendered(instance, observed)

    def more_facts(self, plan: HostPlan) -> Iterator[Fact[Any]]:
        for ollama in self.instances(plan):
            for each in ollama.releases.values():
                yield Exists(release.binary(ollama, each))
            yield from (Exists(path) for path in (ollama.models_directory, render.ELSEWHERE))
            yield from gpus.facts(ollama)
            yield from disk.facts(ollama)
            yield from models.facts(ollama)

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        yield from skipping("engines", self._problems(plan, observed))

    def _problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        try:
            for each in self.instances(plan):
                release.chosen(each, observed)
        except DeployError as exception:
            yield error(str(exception))
            return
        yield from super().problems(plan, observed)
        for each in self.instances(plan):
            yield from gpus.problems(plan, each, observed)
            yield from disk.problems(each, observed)

    def more_changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        for ollama in self.instances(plan):
            binary = release.binary(ollama, release.chosen(ollama, observed))
            if not observed[Exists(binary)]:
                yield Change(f"{binary} is missing")
            if _needs_directory(ollama, observed):
                yield Change(f"{ollama.models_directory} is missing, or the link to it")
            yield from models.changes(ollama, observed)

    def fetch(self, plan: HostPlan, observed: Observation) -> None:
        if self.instances(plan) and not self.is_skipped(plan):
            release.fetch(plan, observed)

    def steps(self, plan: HostPlan) -> Sequence[Step]:
        return (
            self.install_packages,
            self.create_user,
            Step("release, checked by its sha256", self.install_release),
            self.stage,
            self.switch,
            Step("models: pulled, created, verified, removed", self.make_models),
        )

    def install_release(self, plan: HostPlan, observed: Observation) -> Commands:
        """Unpack the release unless the host has it, and create the models' directory."""
        yield from release.install(plan, observed, render.USER)
        for ollama in self.instances(plan):
            if _needs_directory(ollama, observed):
                yield script(
                    shell(
                        FILES / "models_directory.sh",
                        user=render.USER,
                        directory=ollama.models_directory,
                        home=render.HOME,
                        link=render.ELSEWHERE,
                    )
                )

    def switch_generations(self, plan: HostPlan, observed: Observation) -> Commands:
        """Switch to a changed generation, whose present models must answer.

        Servers with a common model switch one after another.
        """
        for ollama in self.instances(plan):
            commands = super().switch_generations(plan, observed)
            ahead = partial(self._ahead, ollama, observed)
            yield from ordered_rollout([Turn(render.NAME, ahead, commands)])

    def _ahead(self, ollama: OllamaPlan, observed: Observation) -> list[Host]:
        """Return the hosts that switch before this one; none if this one is not serving yet."""
        if not drift.is_listening(render.installed(ollama), observed):
            return []
        mine = {model.model for model in ollama.models}

        def is_due(plan: HostPlan, observed: Observation) -> bool:
            return any(
                not mine.isdisjoint(model.model for model in other.models)
                and not generations.is_switched(self.render(other, observed), observed)
                for other in self.instances(plan)
            )

        return due_before(is_due)

    def make_models(self, plan: HostPlan, observed: Observation) -> Commands:
        """Create and remove models. A new model must answer before the old one is removed."""
        for ollama in self.instances(plan):
            if not self._is_running(ollama, observed) or any(models.changes(ollama, observed)):
                yield from models.send(ollama, observed)
                yield from models.make(ollama)

    def _is_running(self, ollama: OllamaPlan, observed: Observation) -> bool:
        desired = self.render(ollama, observed)
        return drift.is_started(desired, observed) and drift.is_listening(desired, observed)

    def kept_state(self) -> Mapping[str, str]:
        return {f"{STATE}/{render.NAME}": "models"}

    def fleet_keys(self, plan: HostPlan) -> Iterator[str]:
        for model in self._models(plan):
            yield f"models.{model}.hosts"

    def _models(self, plan: HostPlan) -> Iterable[str]:
        return (model.model for each in self.instances(plan) for model in each.models)


def _needs_directory(ollama: OllamaPlan, observed: Observation) -> bool:
    """Return whether a directory of the fleet file for the models, or its link, is missing."""
    needed = {ollama.models_directory, render.ELSEWHERE}
    return not render.is_at_home(ollama) and not all(observed[Exists(path)] for path in needed)


@once
def _rendered(ollama: OllamaPlan, observed: Observation) -> Service:
    directory = release.directory(ollama, release.chosen(ollama, observed))
    return render.service(ollama, directory, gpus.visible(ollama, observed))
