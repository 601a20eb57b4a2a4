"""The services of a host as they stand there, whatever their generations hold.

Nothing here needs a secret or a lock file: for rolling back and for looking at a host.
"""

from __future__ import annotations

from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.ollama import OllamaPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.front import render as front
from mirrorfleet.roles.litellm import render as litellm
from mirrorfleet.roles.ollama import render as ollama
from mirrorfleet.roles.postgres import render as postgres
from mirrorfleet.roles.redis import render as redis
from mirrorfleet.roles.vllm import render as vllm
from mirrorfleet.roles.vllm import weights
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.service import Installed


def installed(plan: HostPlan, seen: Observation) -> list[Installed]:
    """Return the services that a host is to run, in the order of `show.services`."""
    found = [
        vllm.installed(engine, weights.location(engine.model, engine.weights))
        for engine in plan.engines_of(VllmPlan)
    ]
    found += [ollama.installed(each) for each in plan.engines_of(OllamaPlan)]
    if plan.redis:
        found.append(redis.installed(plan.redis))
    if plan.postgres:
        found.append(postgres.installed(plan.postgres))
    if plan.gateway:
        found.append(litellm.installed(plan.gateway, seen))
    if plan.front:
        found.append(front.installed(plan.front))
    return found
