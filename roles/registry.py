"""The roles of a fleet, in the order in which a run takes their steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.claude.role import Claude
from mirrorfleet.roles.firewall.role import Firewall
from mirrorfleet.roles.litellm.role import Litellm
from mirrorfleet.roles.load_balancer.role import LoadBalancer
from mirrorfleet.roles.migrations.role import Migrations
from mirrorfleet.roles.ollama.role import Ollama
from mirrorfleet.roles.ports.role import Ports
from mirrorfleet.roles.postgres.role import Postgres
from mirrorfleet.roles.redis.role import Redis
from mirrorfleet.roles.system.role import System
from mirrorfleet.roles.vllm.role import Vllm
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.role import Role
from mirrorfleet.runtime.service import Installed, Service
from mirrorfleet.runtime.service_role import ServiceRole

ROLES: tuple[Role, ...] = (
    System(),
    Firewall(),
    Ports(),
    # Engines, then gateways with all that they need, then clients.
    Vllm(),
    Ollama(),
    Redis(),
    Postgres(),
    Migrations(),
    Litellm(),
    LoadBalancer(),
    Claude(),
)


def with_own(extra: Iterable[Role]) -> tuple[Role, ...]:
    """Return the roles of a run with your own: engines after those of Mirrorfleet, others last."""
    own = list(extra)
    engines = [role for role in own if _is_engine(role)]
    others = [role for role in own if not _is_engine(role)]
    last = max(at for at, role in enumerate(ROLES) if _is_engine(role)) + 1
    return (*ROLES[:last], *engines, *ROLES[last:], *others)


def _is_engine(role: Role) -> bool:
    return isinstance(role, ServiceRole) and role.part == "engines"


def service_roles() -> Iterator[ServiceRole[object]]:
    """Yield the roles whose services run in generations."""
    yield from (role for role in ROLES if isinstance(role, ServiceRole))


def services(plan: HostPlan, observed: Observation) -> list[Installed]:
    """Return the services of a host: names, users, ports. Needs no secret and no lock file."""
    return [service for role in ROLES for service in role.services(plan, observed)]


def desired(plan: HostPlan, observed: Observation) -> Iterator[tuple[str, Callable[[], Service]]]:
    """Yield the name of each service of a host, and a function that renders its generation.

    The function raises ``DeployError`` if a secret or a lock file is missing.
    """
    for role in ROLES:
        yield from role.desired(plan, observed)


def rendered(plan: HostPlan, observed: Observation) -> list[Service]:
    """Return the services of a host with their desired generations. Raises ``DeployError``."""
    return [render() for _, render in desired(plan, observed)]


def fleet_keys(plan: HostPlan) -> Iterable[str]:
    """Yield the keys of the fleet file that use a host."""
    return (key for role in ROLES for key in role.fleet_keys(plan))
