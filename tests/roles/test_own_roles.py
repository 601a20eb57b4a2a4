"""A role of one's own takes part in a run beside ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyinfra.api.exceptions import DeployError

from tests.roles import fake
from tests.roles.answers import converged
from tests.roles.conftest import Planned

ROLE = '''
from collections.abc import Iterable, Iterator

from pyinfra.api import deploy

from mirrorfleet import runtime
from mirrorfleet.deploys.mirror import mirror
from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime.commands import Commands, operation, script
from mirrorfleet.runtime.observe import Observation, Question
from mirrorfleet.runtime.report import Change


class Motd:
    """Tells who logs in to a gateway that it is one."""

    def questions(self, plan: HostPlan) -> list[Question]:
        return []

    def refusals(self, plan: HostPlan, seen: Observation) -> Iterable[str]:
        return ["has no room for a motd"] if plan.name == @REFUSES@ else []

    def changes(self, plan: HostPlan, seen: Observation) -> Iterator[Change]:
        if plan.gateway:
            yield Change("the motd differs")

    def fetch(self, plan: HostPlan, seen: Observation) -> None:
        pass

    @deploy("motd")
    def serve(self) -> None:
        if runtime.plan().gateway:
            write(name="motd of a gateway")


@operation
def write() -> Commands:
    yield script("echo a gateway >/etc/motd")


mirror(extra=[Motd()])
'''


def run(directory: Path, plans: Planned, refuses: str | None = None) -> dict[str, fake.Traffic]:
    hosts = plans("lab").hosts
    deploy = directory / "mirror.py"
    deploy.write_text(ROLE.replace("@REFUSES@", repr(refuses)))
    return fake.mirror(
        hosts, {name: converged(plan) for name, plan in hosts.items()}, deploy=deploy
    )


def test_it_changes_its_hosts_in_the_run_of_ours(
    tmp_path: Path, plans: Planned, stocked: None
) -> None:
    traffic = run(tmp_path, plans)
    written = {name for name, each in traffic.items() if "/etc/motd" in str(each.execs)}
    assert written == {"gw-1", "gw-2"}
    assert {each.looks for each in traffic.values()} == {1}


def test_it_refuses_the_run_before_the_first_change(
    tmp_path: Path, plans: Planned, stocked: None
) -> None:
    with pytest.raises(DeployError, match="gw-2 has no room for a motd"):
        run(tmp_path, plans, refuses="gw-2")
