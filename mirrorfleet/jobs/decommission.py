"""The removal of everything of Mirrorfleet from a host: for deploys/remove_hosts.py."""

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
    """Remove everything of Mirrorfleet from a host: services, firewall, software, state, users."""

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
                f"the fleet file still uses this host: {', '.join(keys)}.",
                "Remove it from these lists, then run deploys/mirror.py, so that no traffic "
                "reaches it.",
            )
            return
        # Other hosts may depend on these services: mirror.py removes them at the right time.
        patterns = [role.unit_names for role in registry.service_roles()]
        removable = {name for role in registry.roles() for name in role.removable_services}
        for name in sorted(observed[Services("*")]):
            if name in removable:
                continue
            if any(fnmatch(name, pattern) for pattern in patterns):
                yield error(
                    f"mirrorfleet-{name}.service is still installed.",
                    "Run deploys/mirror.py first: it removes the service once nothing depends on "
                    "it.",
                )
            else:
                yield error(
                    f"mirrorfleet-{name}.service is still installed, and no registered role "
                    "manages it.",
                    "Register its role in the inventory module (`mirrorfleet docs own-role`), "
                    "then run deploys/mirror.py.",
                )

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        for name in sorted(observed[Services("*")]):
            yield Change(f"mirrorfleet-{name}.service will be stopped and removed")
        kept, users = _kept(observed), _users(observed)
        if observed[Exists(ROOT)]:
            yield Change(f"{ROOT} will be removed{', and the system users' if users else ''}")
        if observed[Exists(STATE)] and (observed[Exists(ROOT)] or not kept):
            exception = f", except {' and '.join(kept)}" if kept else ""
            yield Change(f"{STATE} will be removed{exception}")
            for marker, user in _markers().items():
                if observed[Exists(marker)] and not kept:
                    yield Change(f"the user {user} is kept: it owns files elsewhere on the host")

    def remove(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        return (Step("everything of Mirrorfleet", self.clear),)

    def clear(self, plan: HostPlan, observed: Observation) -> Commands:
        """Remove everything, if there is anything to remove."""
        if any(self.changes(plan, observed)):
            excluded = (word for path in _kept(observed) for word in ("!", "-path", path))
            clear = shell(SCRIPTS / "decommission.sh", users=" ".join(_users(observed)))
            yield script(RELEASE + positional(*excluded) + clear)


def _users(observed: Observation) -> list[str]:
    """Return the names of the system users to remove, without their prefix.

    A user is kept while it owns files: no other user must get its number.
    """
    if _kept(observed):
        return []
    return [
        role.user.removeprefix("mirrorfleet-")
        for role in registry.service_roles()
        if not (marker := role.marker_of_other_files) or not observed[Exists(marker)]
    ]


def _markers() -> dict[str, str]:
    """Return the users that may own files elsewhere, by the path that exists if they do."""
    return {
        role.marker_of_other_files: role.user
        for role in registry.service_roles()
        if role.marker_of_other_files
    }


def _kept_state() -> dict[str, str]:
    """Return the directories that are kept, each with the option that removes it."""
    return {path: option for role in registry.roles() for path, option in role.kept_state().items()}


def _kept(observed: Observation) -> list[str]:
    """Return the directories to keep: those without an option such as `--data models=remove`."""
    return [
        path
        for path, option in _kept_state().items()
        if observed[Exists(path)] and cli_options.option(option) != "remove"
    ]
