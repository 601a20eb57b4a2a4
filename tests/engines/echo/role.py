"""Role: one service for each Echo of a host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mirrorfleet.planning import HostPlan, http
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.secrets import reveal
from mirrorfleet.runtime.service import Installed, Service
from mirrorfleet.runtime.service_role import ServiceRole
from mirrorfleet.runtime.shell import shell
from mirrorfleet.runtime.text import template
from tests.engines.echo.plan import EchoPlan

HERE = Path(__file__).parent


class EchoRole(ServiceRole[EchoPlan]):
    """The services of Echo on a host."""

    title = "Echo"
    unit_names = "echo-*"
    user = "mirrorfleet-echo"
    part = "engines"

    def instances(self, plan: HostPlan) -> Sequence[EchoPlan]:
        return plan.engines_of(EchoPlan)

    def packages(self, plan: HostPlan, observed: Observation) -> Sequence[str]:
        return ("python3", "curl")

    def installed(self, instance: EchoPlan, observed: Observation) -> Installed:
        return Installed(
            name=instance.service,
            user=self.user,
            port=instance.port,
            software=None,
            hooks=shell(
                HERE / "files" / "hooks.sh", url=f"{http(instance.listen, instance.port)}/alive"
            ),
            seconds=10,
        )

    def render(self, instance: EchoPlan, observed: Observation) -> Service:
        installed = self.installed(instance, observed)
        directory = f"{ROOT}/{installed.name}"
        return Service(
            **vars(installed),
            unit=template(
                HERE / "templates" / "unit.service.j2",
                user=self.user,
                directory=directory,
                devices=",".join(map(str, instance.devices)),
            ),
            environment={
                "ECHO_KEY": reveal(instance.api_key) if instance.api_key else "",
                "ECHO_LISTEN": instance.listen,
                "ECHO_PORT": str(instance.port),
                "ECHO_MODEL": instance.model,
                "ECHO_WINDOW": str(instance.context),
                "ECHO_VOICE": instance.voice,
            },
            files={"server.py": (HERE / "files" / "server.py").read_text("utf-8")},
        )

    def fleet_keys(self, plan: HostPlan) -> Iterator[str]:
        yield from (f"models.{echo.model}.hosts" for echo in self.instances(plan))
