"""The roles of a fleet, in the order in which a run takes their steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mirrorfleet.config.problems import Problem
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
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.role import Role
from mirrorfleet.runtime.service import Installed, Service
from mirrorfleet.runtime.service_role import ServiceRole

_BUILT_IN: tuple[Role, ...] = (
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


_own: list[Role] = []


def register(role: Role) -> None:
    """Add your own role to every deploy and job of this process.

    Call it in the inventory module, which pyinfra reads before each deploy. Raises ``ValueError``
    if a role of the same class is registered.
    """
    if any(type(known) is type(role) for known in roles()):
        raise ValueError(f"role '{role.title}' is registered already: remove one registration")
    _own.append(role)


def roles() -> tuple[Role, ...]:
    """Return all roles. Your own engines follow the built-in engines, your other roles are last."""
    engines = [role for role in _own if _is_engine(role)]
    others = [role for role in _own if not _is_engine(role)]
    end = max(at for at, role in enumerate(_BUILT_IN) if _is_engine(role)) + 1
    return (*_BUILT_IN[:end], *engines, *_BUILT_IN[end:], *others)


def _is_engine(role: Role) -> bool:
    return isinstance(role, ServiceRole) and role.part == "engines"


class KnownEngines(Role):
    """The check that every engine in a plan has a registered role."""

    title = "Engines"

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        yield from without_role(plan)


def without_role(plan: HostPlan) -> Iterator[Problem]:
    """Yield an error for each engine of a host that no registered role manages."""
    managed = {id(engine) for role in service_roles() for engine in role.instances(plan)}
    for engine in plan.engines:
        if id(engine) not in managed:
            yield error(
                f"no role is registered for the engine '{engine.engine}' of "
                f"{', '.join(engine.windows)}.",
                "Give its role to OwnEngine in the inventory module "
                "(`mirrorfleet docs engine`, In your own repository).",
            )


def service_roles() -> Iterator[ServiceRole[object]]:
    """Yield the roles whose services run in generations."""
    yield from (role for role in roles() if isinstance(role, ServiceRole))


def services(plan: HostPlan, observed: Observation) -> list[Installed]:
    """Return the services of a host: names, users, ports. Needs no secret and no lock file."""
    return [service for role in roles() for service in role.services(plan, observed)]


def desired(plan: HostPlan, observed: Observation) -> Iterator[tuple[str, Callable[[], Service]]]:
    """Yield the name of each service of a host, and a function that renders its generation.

    The function raises ``DeployError`` if a secret or a lock file is missing.
    """
    for role in roles():
        yield from role.desired(plan, observed)


def rendered(plan: HostPlan, observed: Observation) -> list[Service]:
    """Return the services of a host with their desired generations. Raises ``DeployError``."""
    return [render() for _, render in desired(plan, observed)]


def fleet_keys(plan: HostPlan) -> Iterable[str]:
    """Yield the keys of the fleet file that use a host."""
    return (key for role in roles() for key in role.fleet_keys(plan))
