"""Redis for the gateways: a service beside the one of the distribution's package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan, RedisPlan
from mirrorfleet.roles.redis import render
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.facts import Package
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.role import Step
from mirrorfleet.runtime.secrets import reveal
from mirrorfleet.runtime.service import Installed, Service
from mirrorfleet.runtime.service_role import ServiceRole
from mirrorfleet.runtime.shell import call

PACKAGE = "redis-server"

TOO_OLD = {("debian", "11"): "6.0", ("ubuntu", "22.04"): "6.0"}
"""Systems whose Redis is older than 6.2: it knows no rights on channels, and its process title
would overwrite the environment, which names the generation."""


class Redis(ServiceRole[RedisPlan]):
    """The gateways' Redis on one host."""

    title = "Redis"
    unit_names = render.NAME
    user = render.USER

    def instances(self, plan: HostPlan) -> Sequence[RedisPlan]:
        return [plan.redis] if plan.redis else []

    def packages(self, plan: HostPlan, observed: Observation) -> Sequence[str]:
        return (PACKAGE, "python3")

    def installed(self, instance: RedisPlan, observed: Observation) -> Installed:
        return render.installed(instance)

    def render(self, instance: RedisPlan, observed: Observation) -> Service:
        return render.service(instance, reveal(instance.password))

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        system, release = observed.machine.system, observed.machine.release
        if plan.redis and (old := TOO_OLD.get((system, release))):
            yield error(
                f"Redis of {system} {release} is {old}; the minimum is 6.2.",
                "Set another host in gateway.redis.install, or use an existing Redis.",
            )
        yield from super().problems(plan, observed)

    def steps(self, plan: HostPlan) -> Sequence[Step]:
        return (
            Step("the package's own server, masked", self.mask),
            self.install_packages,
            self.create_user,
            self.stage,
            self.switch,
        )

    def mask(self, plan: HostPlan, observed: Observation) -> Commands:
        """Prevent the package from starting its own server at installation."""
        if not observed[Package(PACKAGE)]:
            # Every user of the host could connect to it.
            yield script(call("systemctl", "--quiet", "mask", "redis-server.service"))

    def fleet_keys(self, plan: HostPlan) -> Iterator[str]:
        if plan.redis:
            yield "gateway.redis.install"
