"""The load balancer of the gateways: the distribution's HAProxy, reloaded without a cut stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pyinfra.api.exceptions import DeployError

from mirrorfleet.config import reading
from mirrorfleet.planning import FrontPlan, HostPlan
from mirrorfleet.roles.load_balancer import render
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.observe import Observation, Question, once
from mirrorfleet.runtime.role import Step
from mirrorfleet.runtime.secrets import reveal_text
from mirrorfleet.runtime.service import Installed, Service
from mirrorfleet.runtime.service_role import ServiceRole

PACKAGES = ("haproxy", "socat", "curl", "python3")


class LoadBalancer(ServiceRole[FrontPlan]):
    """HAProxy on a host. Hosts change one after another: the first shows whether it works."""

    title = "Load balancer"
    unit_names = render.NAME
    user = render.USER
    rolling = True

    def instances(self, plan: HostPlan) -> Sequence[FrontPlan]:
        return [plan.front] if plan.front else []

    def packages(self, plan: HostPlan, observed: Observation) -> Sequence[str]:
        return PACKAGES

    def installed(self, instance: FrontPlan, observed: Observation) -> Installed:
        return render.installed(instance)

    def render(self, instance: FrontPlan, observed: Observation) -> Service:
        return _rendered(instance, observed)

    def more_questions(self, plan: HostPlan) -> Iterator[Question]:
        if plan.front and plan.front.certificate_path:
            yield ("path", plan.front.certificate_path)

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[str]:
        if plan.front is None:
            return
        path = plan.front.certificate_path
        if path and path not in observed.paths:
            yield f"has no {path}, the certificate of the front door. Put it there, or push one."
            return
        yield from super().problems(plan, observed)

    def steps(self, plan: HostPlan) -> Sequence[Step]:
        return (
            self.install_packages,
            Step("the distribution's own haproxy.service, not needed", self.stop_packaged),
            self.create_user,
            self.stage,
            self.switch,
        )

    def stop_packaged(self, plan: HostPlan, observed: Observation) -> Commands:
        """Stop the service that the package starts; one that was there before stays."""
        if "haproxy" not in observed.packages:
            yield script("systemctl --quiet disable --now haproxy.service\n")

    def fleet_keys(self, plan: HostPlan) -> Iterator[str]:
        if plan.front:
            yield "front.hosts"


@once
def _rendered(front: FrontPlan, observed: Observation) -> Service:
    if front.certificate is None:
        return render.service(front, None)
    try:
        certificate = reading.text(front.certificate)
    except reading.Unreadable as error:
        raise DeployError(f"cannot be given {front.certificate}: {error.told}") from None
    if "-----BEGIN CERTIFICATE-----" not in certificate:
        raise DeployError(f"cannot be given {front.certificate}: it holds no certificate in PEM.")
    assert front.key, "the check wants a key for a certificate that is pushed"
    return render.service(front, f"{certificate.strip()}\n{reveal_text(front.key)}\n")
