"""vLLM on an engine host: its environment, the weights, and one service per model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from pyinfra.api import Host

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.vllm import devices, gpus, nodes, render, software, weights
from mirrorfleet.runtime import drift, generations, python, run
from mirrorfleet.runtime.canary import Canary
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.facts import Disk, Fact
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT, STATE, WEIGHTS
from mirrorfleet.runtime.problems import error, skipping
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Step
from mirrorfleet.runtime.rollout import Turn, due_before, gated_by, ordered_rollout
from mirrorfleet.runtime.secrets import reveal
from mirrorfleet.runtime.service import Installed, Service
from mirrorfleet.runtime.service_role import ServiceRole


class Vllm(ServiceRole[VllmPlan]):
    """The vLLM engines of a host, one service for each model."""

    title = "vLLM"
    removable_services = (devices.NAME,)
    unit_names = render.NAMES
    user = render.USER
    part = "engines"

    def instances(self, plan: HostPlan) -> Sequence[VllmPlan]:
        return plan.engines_of(VllmPlan)

    def names(self, plan: HostPlan) -> list[str]:
        return [render.name(engine) for engine in self.instances(plan)]

    def packages(self, plan: HostPlan, observed: Observation) -> Sequence[str]:
        return software.packages(plan)

    def installed(self, instance: VllmPlan, observed: Observation) -> Installed:
        return render.installed(instance, weights.known_location(instance))

    def canary(self, instance: VllmPlan) -> Canary | None:
        return render.canary(instance)

    def render(self, instance: VllmPlan, observed: Observation) -> Service:
        return render.service(
            instance,
            python.located(software.environment(instance), observed).directory,
            weights.location(instance.model, instance.weights),
            reveal(instance.api_key) if instance.api_key and instance.is_head else None,
        )

    def facts(self, plan: HostPlan) -> Iterator[Fact[Any]]:
        yield from super().facts(plan)
        yield from devices.facts(plan)

    def more_facts(self, plan: HostPlan) -> Iterator[Fact[Any]]:
        for engine in self.instances(plan):
            yield from (Disk(place) for place in (ROOT, STATE))
            yield from gpus.facts(plan, engine, weights.location(engine.model, engine.weights))
            yield from software.environment(engine).facts
            yield from weights.facts(engine)
            yield from nodes.facts(engine)

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        yield from skipping("engines", self._problems(plan, observed))

    def _problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        if not self.instances(plan):
            return
        environments = [software.environment(engine) for engine in self.instances(plan)]
        yield from python.problems(observed, environments, pushed=plan.packages == "controller")
        yield from super().problems(plan, observed)
        for engine in self.instances(plan):
            place = weights.location(engine.model, engine.weights)
            yield from gpus.problems(plan, engine, engine.lock, place, observed)
            yield from nodes.problems(plan, engine, observed)
            if not generations.is_switched(self.render(engine, observed), observed):
                yield from nodes.left_out(engine)
        yield from weights.problems(self.instances(plan), observed)

    def more_changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        yield from devices.changes(plan, observed)
        for engine in self.instances(plan):
            yield from python.changes(software.environment(engine), observed)
            yield from weights.changes(engine, observed)

    def notices(self, plan: HostPlan, observed: Observation) -> Iterator[str]:
        for engine in self.instances(plan):
            place = weights.known_location(engine)
            yield from gpus.notices(engine, place, observed)

    def generation_changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        yield from super().generation_changes(plan, observed)
        for engine in self.instances(plan):
            desired = self.render(engine, observed)
            if self._restarts_with_others(engine) and generations.is_switched(desired, observed):
                yield Change(
                    f"{desired.unit_name} will be restarted together with another node of "
                    f"'{engine.model}'"
                )

    def fetch(self, plan: HostPlan, observed: Observation) -> None:
        for engine in self.instances(plan) if not self.is_skipped(plan) else ():
            python.fetch(software.environment(engine), plan, observed)

    def steps(self, plan: HostPlan) -> Sequence[Step]:
        return (
            self.install_packages,
            self.create_user,
            Step("device files of the GPUs, at every boot", devices.install),
            Step("Python environment, hash-locked", self.install_environments),
            Step("weights", self.bring_weights),
            self.stage,
            Step("nodes that follow the first node of their model", self.prepare_nodes),
            self.switch,
            Step("nodes that have followed the first node", self.prove_nodes),
        )

    def install_environments(self, plan: HostPlan, observed: Observation) -> Commands:
        """Build the missing environments."""
        for each in dict.fromkeys(software.environment(engine) for engine in self.instances(plan)):
            yield from python.install(each, plan, observed)

    def bring_weights(self, plan: HostPlan, observed: Observation) -> Commands:
        """Bring missing weights, replace damaged files, and pass on what other hosts need."""
        engines = [
            (engine, python.located(software.environment(engine), observed).directory)
            for engine in self.instances(plan)
        ]
        yield from weights.fetch(engines, observed)

    def prepare_nodes(self, plan: HostPlan, observed: Observation) -> Commands:
        """Activate the new generation of each follower node; its process runs on for now.

        All followers come before any first node: a first node that switches waits for them, and
        restarts them.
        """
        for engine in self.instances(plan):
            if not engine.is_head:
                yield from generations.activate_follower(self.render(engine, observed), observed)

    def switch_generations(self, plan: HostPlan, observed: Observation) -> Commands:
        """Switch the engines one after another, and the replicas of a model host by host.

        Hosts without a common model switch at the same time.
        """
        yield from ordered_rollout(
            Turn(
                engine.model,
                partial(self._ahead, engine, observed),
                self._switch_engine(engine, observed),
            )
            for engine in self.instances(plan)
            if engine.is_head
        )

    def _switch_engine(self, engine: VllmPlan, observed: Observation) -> Commands:
        """Switch one engine together with the other nodes of its model."""
        commands = generations.switch(
            self.render(engine, observed), observed, restart=self._restarts_with_others(engine)
        )
        return gated_by(nodes.is_other_node(engine), commands) if engine.nodes else commands

    def prove_nodes(self, plan: HostPlan, observed: Observation) -> Commands:
        """Record that followers run the generation that their first node verified, or roll back."""
        for engine in self.instances(plan):
            if not engine.is_head:
                yield from generations.verify_follower(self.render(engine, observed), observed)

    def _restarts_with_others(self, engine: VllmPlan) -> bool:
        """Return whether a first node must restart because another node of its model will."""
        return engine.is_head and any(
            not drift.is_started(self.render(each, observed), observed)
            for other in nodes.others(engine)
            if (observed := run.observed_on(other))
            for each in self.instances(run.plan_of(other))
            if each.model == engine.model
        )

    def _ahead(self, engine: VllmPlan, observed: Observation) -> list[Host]:
        """Return the hosts whose replicas of the model switch before this one.

        A replica that is not serving yet waits for none: its restart interrupts no request.
        """
        if not drift.is_listening(self.installed(engine, observed), observed):
            return []
        return due_before(
            lambda plan, observed: any(
                each.model == engine.model
                and each.is_head
                and (
                    not generations.is_switched(self.render(each, observed), observed)
                    or self._restarts_with_others(each)
                )
                for each in self.instances(plan)
            )
        )

    def removed_services(self, plan: HostPlan, observed: Observation) -> list[str]:
        return [*super().removed_services(plan, observed), *devices.removed(plan, observed)]

    def fleet_keys(self, plan: HostPlan) -> Iterator[str]:
        for engine in self.instances(plan):
            yield f"models.{engine.model}.hosts"

    def driver_problems(self, plan: HostPlan, release: str) -> Iterator[Problem]:
        for engine in self.instances(plan):
            cuda, oldest = gpus.needed(engine.lock)
            if engine.build == "cuda" and not engine.cuda_compat and gpus.older(release, oldest):
                yield error(
                    f"{plan.driver} brings driver {release}, and vLLM {engine.version} brings CUDA "
                    f"{cuda}, which needs {oldest} or newer.",
                    "Add NVIDIA's own repository, or name another package.",
                )

    def kept_state(self) -> Mapping[str, str]:
        return {WEIGHTS: "models"}

    def files(self, plan: HostPlan, observed: Observation) -> Iterator[tuple[str, str]]:
        yield from super().files(plan, observed)
        for each in devices.units(plan):
            if each.path == devices.UNIT_PATH and each.content is not None:
                yield each.path, each.content.decode()
