"""The services of a host as they stand there, whatever their generations hold.

Nothing here needs a secret or a lock file: for rolling back and for looking at a host.
"""

from __future__ import annotations

from fleet.plan import HostPlan
from roles.front import render as front
from roles.host.observe import Observation
from roles.host.service import Installed
from roles.litellm import render as litellm
from roles.ollama import render as ollama
from roles.postgres import render as postgres
from roles.redis import render as redis
from roles.vllm import render as vllm
from roles.vllm import weights


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
    if plan.front:
        found.append(front.installed(plan.front))
    return found
