"""Claude Code on a developer's machine: the pinned client, the settings, the key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.claude import (
    client,
    deferred_settings,
    distributed_files,
    home_files,
    home_links,
    home_writer,
    machine_files,
    policy_files,
    user_settings,
)
from mirrorfleet.roles.claude.facts import OwnClients, home_facts
from mirrorfleet.runtime import skipped
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.facts import Fact, User
from mirrorfleet.runtime.files import HomeFile, install
from mirrorfleet.runtime.observe import Observation, assumed
from mirrorfleet.runtime.problems import skipping
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Role, Step
from mirrorfleet.runtime.rollout import gated_by, has_shared_services
from mirrorfleet.runtime.secrets import reveal
from mirrorfleet.runtime.upload import upload


class Claude(Role):
    """Claude Code for the developers of a machine; restores the files of removed developers."""

    title = "Claude Code"

    def facts(self, plan: HostPlan) -> Iterator[Fact[Any]]:
        yield from machine_files.facts(plan.clients)
        yield from distributed_files.facts(plan.clients)
        yield from (OwnClients(user) for user in client.ordinary(plan.clients))
        for assignment in machine_files.assignments(plan.clients):
            yield from home_facts(assignment.user, assignment.directory)

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        if plan.clients:
            for user in plan.clients.users:
                reveal(user.key)
            yield from machine_files.certificate_problems(plan.clients)
            yield from distributed_files.problems(plan.clients)
            yield from skipping("clients", client.problems(plan.clients, observed))
            yield from skipping("clients", machine_files.problems(plan.clients, observed))
            yield from skipping("clients", policy_files.problems(plan.clients, observed))
            for user in plan.clients.users:
                yield from user_settings.problems(user, observed)
                yield from home_links.problems(user, observed)
        for assignment in machine_files.former_assignments(plan.clients, observed):
            yield from user_settings.restore_problems(assignment, observed)

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        if skipped.is_skipped(plan, "clients"):
            return
        for version in client.missing(plan.clients, observed) if plan.clients else ():
            yield Change(f"{client.binary(version)} is missing")
        yield from distributed_files.changes(plan.clients, observed)
        users = plan.clients.users if plan.clients else ()
        yield from user_settings.changes(self._home_files(plan, observed), users, observed)
        yield from home_links.changes(plan.clients, observed)
        if not deferred_settings.is_policy_deferred(plan, observed):
            former = machine_files.former_assignments(plan.clients, observed)
            kept = home_files.unrestorable(former, observed)
            yield from machine_files.changes(plan.clients, observed, kept)

    def notices(self, plan: HostPlan, observed: Observation) -> Iterator[str]:
        yield from client.notices(plan.clients, observed)

    def fetch(self, plan: HostPlan, observed: Observation) -> None:
        if plan.clients and not skipped.is_skipped(plan, "clients"):
            for version in client.missing(plan.clients, observed):
                client.package(plan.clients, version, observed)

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        if skipped.is_skipped(plan, "clients"):
            return ()
        return (
            Step("client", self.install_clients),
            Step("distributed files", self.place_files),
            Step("settings and keys", self.write_homes),
            Step("commands and policy", self.write_machine_files),
        )

    def held(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        if skipped.is_skipped(plan, "clients"):
            return ()
        return (Step("keys", self.write_keys),)

    def install_clients(self, plan: HostPlan, observed: Observation) -> Commands:
        """Install the pinned clients on the machine, for all its users."""
        if plan.clients is None:
            return
        for version in client.missing(plan.clients, observed):
            package = client.package(plan.clients, version, observed)
            yield from upload(package, client.unpack(version), what=f"Claude Code {version}")

    def place_files(self, plan: HostPlan, observed: Observation) -> Commands:
        """Upload skills, hooks and the other files of groups, before anything refers to them."""
        yield from distributed_files.place(plan.clients, observed)

    def write_homes(self, plan: HostPlan, observed: Observation) -> Commands:
        """Write each developer's key and settings, as that developer; restore former ones."""
        first = machine_files.interim_list(plan.clients, observed)

        def desired(observed: Observation) -> list[HomeFile]:
            return self._home_files(plan, observed)

        links = home_links.outdated(plan.clients, observed)
        commands = home_writer.write_homes(desired, observed, first, links)
        yield from gated_by(has_shared_services, commands)

    def write_keys(self, plan: HostPlan, observed: Observation) -> Commands:
        """Write each developer's key only: settings may wait, a revocation may not."""
        first = machine_files.interim_list(plan.clients, observed)

        def desired(observed: Observation) -> list[HomeFile]:
            return home_files.keys(plan, observed)

        yield from home_writer.write_homes(desired, observed, first)

    def write_machine_files(self, plan: HostPlan, observed: Observation) -> Commands:
        """Write the machine's policy and commands, after the settings of their users."""
        former = machine_files.former_assignments(plan.clients, observed)
        kept = home_files.unrestorable(former, observed, skipped.homes(plan))
        commands = install(
            machine_files.files(plan.clients, kept),
            observed,
            first=machine_files.unlink(plan.clients, observed),
            then=machine_files.relink(plan.clients, observed)
            + policy_files.relink(plan.clients, observed)
            + distributed_files.prune(plan.clients, observed, stay=bool(skipped.homes(plan))),
        )
        if not deferred_settings.is_policy_deferred(plan, observed):
            yield from gated_by(has_shared_services, commands)

    def _home_files(self, plan: HostPlan, observed: Observation) -> list[HomeFile]:
        """Return the files of homes without the deferred settings."""
        return deferred_settings.without_deferred(
            plan, home_files.desired(plan, observed), observed
        )

    def fleet_keys(self, plan: HostPlan) -> Iterator[str]:
        if plan.clients:
            yield "developers"

    def files(self, plan: HostPlan, observed: Observation) -> Iterator[tuple[str, str]]:
        logins = {User(each.user): "" for each in plan.clients.users} if plan.clients else {}
        for file in home_files.desired(plan, assumed(logins)):
            if file.path.endswith(f"/{user_settings.BACKUP}"):
                note = "(left out: the backup from which the user's own settings are restored)\n"
                yield f"~{file.user}/{file.path}", note
            elif file.content is not None:
                yield f"~{file.user}/{file.path}", file.content.decode()
        for shared in machine_files.files(plan.clients):
            if shared.content is not None:
                yield shared.path, shared.content.decode(errors="replace")
        for group in plan.clients.files if plan.clients else ():
            for path, member in distributed_files.members(group).items():
                yield f"{group.path}/{path}", member.content.decode(errors="replace")
