"""Everything of Mirrorfleet off a host that left its fleet: for deploys/remove_hosts.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles import registry
from mirrorfleet.runtime import cli_options
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.facts import Exists, Fact, Services
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT, STATE
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.reserved import RELEASE
from mirrorfleet.runtime.role import Role, Step
from mirrorfleet.runtime.shell import positional, shell

SCRIPTS = Path(__file__).parent / "scripts"


class Decommission(Role):
    """Everything of Mirrorfleet off a host: services, firewall, software, state and users."""

    title = "Host"

    def facts(self, plan: HostPlan) -> Iterator[Fact[Any]]:
        yield Services("*")
        yield from (Exists(path) for path in (ROOT, STATE, *_kept_state(), *_markers()))

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        if unknown := list(registry.without_role(plan)):
            yield from unknown
            return
        if keys := list(registry.fleet_keys(plan)):
            yield error(
                f"this host still has a part in the fleet file: {', '.join(keys)}.",
                "Remove it from these lists, then run deploys/mirror.py, so that no traffic "
                "reaches it.",
            )
            return
        # Services on which others may depend: mirror.py knows when to remove them.
        patterns = [role.unit_names for role in registry.service_roles()]
        removable = {name for role in registry.roles() for name in role.removable_services}
        for name in sorted(observed[Services("*")]):
            if name in removable:
                continue
            if any(fnmatch(name, pattern) for pattern in patterns):
                yield error(
                    f"mirrorfleet-{name}.service is still here.",
                    "Run deploys/mirror.py first: it removes the service once nothing depends on "
                    "it.",
                )
            else:
                yield error(
                    f"mirrorfleet-{name}.service is still here, and no registered role manages it.",
                    "Register its role in the inventory module (`mirrorfleet docs own-role`), "
                    "then run deploys/mirror.py.",
                )

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        for name in sorted(observed[Services("*")]):
            yield Change(f"mirrorfleet-{name}.service will be stopped and removed")
        stays, users = _stays(observed), _users(observed)
        if observed[Exists(ROOT)]:
            yield Change(f"{ROOT} will be removed{', and the system users' if users else ''}")
        if observed[Exists(STATE)] and (observed[Exists(ROOT)] or not stays):
            but = f" but for {' and '.join(stays)}" if stays else ""
            yield Change(f"{STATE} will be removed{but}")
            for marker, user in _markers().items():
                if observed[Exists(marker)] and not stays:
                    yield Change(f"the user {user} stays: it owns files elsewhere on the host")

    def remove(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        return (Step("everything of Mirrorfleet", self.clear),)

    def clear(self, plan: HostPlan, observed: Observation) -> Commands:
        """Remove what is there, if anything is."""
        if any(self.changes(plan, observed)):
            stays = (word for path in _stays(observed) for word in ("!", "-path", path))
            clear = shell(SCRIPTS / "decommission.sh", users=" ".join(_users(observed)))
            yield script(RELEASE + positional(*stays) + clear)


def _users(observed: Observation) -> list[str]:
    """Return the services whose users are removed.

    A user stays while its files do: another user must not get its number.
    """
    if _stays(observed):
        return []
    return [
        role.user.removeprefix("mirrorfleet-")
        for role in registry.service_roles()
        if not (marker := role.marker_of_other_files) or not observed[Exists(marker)]
    ]


def _markers() -> dict[str, str]:
    """Return the users that stay while they own files elsewhere, by the path that shows it."""
    return {
        role.marker_of_other_files: role.user
        for role in registry.service_roles()
        if role.marker_of_other_files
    }


def _kept_state() -> dict[str, str]:
    """Return the directories that stay, each with the option that removes it."""
    return {path: word for role in registry.roles() for path, word in role.kept_state().items()}


def _stays(observed: Observation) -> list[str]:
    """Return what is kept of a host's state: all but for `--data models=remove` or the like."""
    return [
        path
        for path, word in _kept_state().items()
        if observed[Exists(path)] and cli_options.option(word) != "remove"
    ]
