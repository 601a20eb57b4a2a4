"""The load balancer of the gateways: the distribution's HAProxy. A reload interrupts no stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pyinfra.api.exceptions import DeployError

from mirrorfleet.config import reading
from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan, LoadBalancerPlan
from mirrorfleet.roles.load_balancer import certificate as certificates
from mirrorfleet.roles.load_balancer import render
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.facts import Exists, Fact, Package
from mirrorfleet.runtime.observe import Observation, once
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.role import Step
from mirrorfleet.runtime.secrets import reveal_text
from mirrorfleet.runtime.service import Installed, Service
from mirrorfleet.runtime.service_role import ServiceRole
from mirrorfleet.runtime.shell import call

PACKAGES = ("haproxy", "socat", "curl", "python3")


class LoadBalancer(ServiceRole[LoadBalancerPlan]):
    """HAProxy on a host. Hosts change one after another; the first failure stops the rest."""

    title = "Load balancer"
    unit_names = render.NAME
    user = render.USER
    rolling = True

    def instances(self, plan: HostPlan) -> Sequence[LoadBalancerPlan]:
        return [plan.load_balancer] if plan.load_balancer else []

    def packages(self, plan: HostPlan, observed: Observation) -> Sequence[str]:
        return PACKAGES

    def installed(self, instance: LoadBalancerPlan, observed: Observation) -> Installed:
        return render.installed(instance)

    def render(self, instance: LoadBalancerPlan, observed: Observation) -> Service:
        return _rendered(instance, observed)

    def more_facts(self, plan: HostPlan) -> Iterator[Fact[Any]]:
        if plan.load_balancer and plan.load_balancer.certificate_path:
            yield Exists(plan.load_balancer.certificate_path)
        if plan.load_balancer:
            yield from certificates.facts(plan.load_balancer)

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        if plan.load_balancer is None:
            return
        path = plan.load_balancer.certificate_path
        if path and not observed[Exists(path)]:
            yield error(
                f"the load balancer's certificate {path} is missing on this host.",
                "Copy it there, or push one.",
            )
            return
        yield from certificates.problems(plan.load_balancer, observed)
        yield from super().problems(plan, observed)

    def steps(self, plan: HostPlan) -> Sequence[Step]:
        return (
            self.install_packages,
            Step("the distribution's own haproxy.service, stopped", self.stop_packaged),
            self.create_user,
            self.stage,
            self.switch,
        )

    def stop_packaged(self, plan: HostPlan, observed: Observation) -> Commands:
        """Stop the service that the package starts, unless the package was installed before."""
        if not observed[Package("haproxy")]:
            yield script(call("systemctl", "--quiet", "disable", "--now", "haproxy.service"))

    def fleet_keys(self, plan: HostPlan) -> Iterator[str]:
        if plan.load_balancer:
            yield "load_balancer.hosts"


@once
def _rendered(plan: LoadBalancerPlan, observed: Observation) -> Service:
    if plan.certificate is None:
        return render.service(plan, None)
    try:
        certificate = reading.text(plan.certificate)
    except reading.Unreadable as exception:
        raise DeployError(f"{plan.certificate} cannot be read: {exception.message}") from None
    if "-----BEGIN CERTIFICATE-----" not in certificate:
        raise DeployError(f"{plan.certificate} has no certificate in PEM format.")
    if plan.key is None:
        raise DeployError(f"{plan.certificate} has no private key: set load_balancer.key.")
    return render.service(plan, f"{certificate.strip()}\n{reveal_text(plan.key)}\n")
