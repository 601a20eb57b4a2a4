"""Claude Code on a developer's machine: the pinned client, the settings, the key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.claude import client, home_files, homes, machine, waiting, writing
from mirrorfleet.roles.claude.facts import OwnClients, home_facts
from mirrorfleet.runtime import skipped
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.facts import Fact, User
from mirrorfleet.runtime.files import HomeFile, install
from mirrorfleet.runtime.observe import Observation, assumed
from mirrorfleet.runtime.problems import skipping
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Role, Step
from mirrorfleet.runtime.rollout import answers_others, gated_by
from mirrorfleet.runtime.secrets import reveal
from mirrorfleet.runtime.upload import upload


class Claude(Role):
    """Claude Code for the developers of a machine, and what is taken back from those who left."""

    title = "Claude Code"

    def facts(self, plan: HostPlan) -> Iterator[Fact[Any]]:
        yield from machine.facts(plan.clients)
        yield from (OwnClients(user) for user in client.ordinary(plan.clients))
        for seat in machine.seats(plan.clients):
            yield from home_facts(seat.user, seat.directory)

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        if plan.clients:
            for each in plan.clients.users:
                reveal(each.key)
            yield from machine.unsound(plan.clients)
            yield from skipping("clients", client.problems(plan.clients, observed))
            yield from skipping("clients", machine.problems(plan.clients, observed))
            for each in plan.clients.users:
                yield from homes.problems(each, observed)
        for seat in machine.left(plan.clients, observed):
            yield from homes.leaving(seat, observed)

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        if skipped.skips(plan, "clients"):
            return
        for version in client.missing(plan.clients, observed) if plan.clients else ():
            yield Change(f"{client.binary(version)} is missing")
        users = plan.clients.users if plan.clients else ()
        yield from homes.changes(self._home_files(plan, observed), users, observed)
        if not waiting.policy(plan, observed):
            former = machine.left(plan.clients, observed)
            kept = home_files.not_taken_back(former, observed)
            yield from machine.changes(plan.clients, observed, kept)

    def notices(self, plan: HostPlan, observed: Observation) -> Iterator[str]:
        yield from client.notices(plan.clients, observed)

    def fetch(self, plan: HostPlan, observed: Observation) -> None:
        if plan.clients and not skipped.skips(plan, "clients"):
            for version in client.missing(plan.clients, observed):
                client.package(plan.clients, version, observed)

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        if skipped.skips(plan, "clients"):
            return ()
        return (
            Step("client", self.install_clients),
            Step("settings and keys", self.write_homes),
            Step("commands and policy", self.write_machine_files),
        )

    def install_clients(self, plan: HostPlan, observed: Observation) -> Commands:
        """Install the pinned clients on the machine, for all its users."""
        if plan.clients is None:
            return
        for version in client.missing(plan.clients, observed):
            package = client.package(plan.clients, version, observed)
            yield from upload(package, client.unpack(version))

    def write_homes(self, plan: HostPlan, observed: Observation) -> Commands:
        """Write each developer's key and settings, as that developer; take back those of others."""
        first = machine.known(plan.clients, observed)

        def desired(observed: Observation) -> list[HomeFile]:
            return self._home_files(plan, observed)

        yield from gated_by(answers_others, writing.settle(desired, observed, first))

    def write_machine_files(self, plan: HostPlan, observed: Observation) -> Commands:
        """Write the machine's policy and commands, after the settings of those who use them."""
        former = machine.left(plan.clients, observed)
        kept = home_files.not_taken_back(former, observed, skipped.homes(plan))
        commands = install(
            machine.files(plan.clients, kept),
            observed,
            first=machine.unlink(plan.clients, observed),
            then=machine.relink(plan.clients, observed),
        )
        if not waiting.policy(plan, observed):
            yield from gated_by(answers_others, commands)

    def _home_files(self, plan: HostPlan, observed: Observation) -> list[HomeFile]:
        """Return the files of homes, but for settings that wait for a model."""
        return waiting.without(plan, home_files.desired(plan, observed), observed)

    def fleet_keys(self, plan: HostPlan) -> Iterator[str]:
        if plan.clients:
            yield "developers"

    def files(self, plan: HostPlan, observed: Observation) -> Iterator[tuple[str, str]]:
        logins = {User(each.user): "" for each in plan.clients.users} if plan.clients else {}
        for file in home_files.desired(plan, assumed(logins)):
            if file.content is not None:
                yield f"~{file.user}/{file.path}", file.content.decode()
        for shared in machine.files(plan.clients):
            if shared.content is not None:
                yield shared.path, shared.content.decode(errors="replace")
