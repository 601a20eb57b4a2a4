"""The services of a host as they stand there, whatever their generations hold.

Nothing here needs a secret or a lock file: for rolling back and for looking at a host.
"""

from __future__ import annotations

from mirrorfleet.planning import HostPlan
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
        for engine in plan.engines
    ]
    if plan.ollama:
        found.append(ollama.installed(plan.ollama))
    if plan.redis:
        found.append(redis.installed(plan.redis))
    if plan.postgres:
        found.append(postgres.installed(plan.postgres))
    if plan.gateway:
        found.append(litellm.installed(plan.gateway, seen))
    if plan.load_balancer:
        found.append(front.installed(plan.load_balancer))
    return found
