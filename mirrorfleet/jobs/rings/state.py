"""What identifies the state of a host that its ring proves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.claude import machine_files, user_settings
from mirrorfleet.roles.litellm.role import Litellm
from mirrorfleet.roles.load_balancer.role import LoadBalancer
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.service import Service
from mirrorfleet.runtime.service_role import ServiceRole

ROLES: tuple[ServiceRole[Any], ...] = (Litellm(), LoadBalancer())


def services(plan: HostPlan, observed: Observation) -> Iterator[Service]:
    """Yield the services of a host that change in rings, with their desired generations.

    Raises ``DeployError`` if a secret or a lock file is missing.
    """
    for role in ROLES:
        for _, render in role.desired(plan, observed):
            yield render()


def identity(plan: HostPlan, observed: Observation) -> str:
    """Return a digest of what a ring changes on a host, without keys. Raises ``DeployError``."""
    parts: list[object] = [service.generation for service in services(plan, observed)]
    if plan.clients:
        shared = machine_files.files(plan.clients)
        parts += [plan.clients.versions, machine_files.links(plan.clients)]
        parts += [(file.path, file.description) for file in shared]
        parts += [
            (client.user, client.directory, user_settings.owned_keys(client))
            for client in plan.clients.users
        ]
    return sha256(json.dumps(parts, sort_keys=True, default=dict).encode()).hexdigest()[:12]
