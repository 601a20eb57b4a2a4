"""Developers whose new settings ask for a model that this run could not bring: they keep theirs.

Keys are no settings: they change all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
from typing import Any

from pyinfra.api import Host
from pyinfra.api.exceptions import DeployError

from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.claude.homes import seat
from mirrorfleet.roles.claude.json_file import NotOurs, parsed
from mirrorfleet.roles.claude.machine import POLICY, files
from mirrorfleet.roles.litellm import needs
from mirrorfleet.roles.litellm.role import troubles, unavailable
from mirrorfleet.runtime import run, skipped
from mirrorfleet.runtime.facts import Content
from mirrorfleet.runtime.files import HomeFile, outdated, unlike
from mirrorfleet.runtime.observe import Observation, observe
from mirrorfleet.runtime.problems import skip


def without(plan: HostPlan, every: list[HomeFile], observed: Observation) -> list[HomeFile]:
    """Return the files of homes but the settings of those who wait for a model."""
    this = run.host_of(plan)
    if not plan.clients or this is None or not troubles():
        return every
    missing, waits = unavailable(), set()
    for client in plan.clients.users:
        where = seat(client)
        paths = (where.settings, where.state, where.receipt)
        own = [file for file in every if file.user == where.user and file.path in paths]
        there = observed[where.file(where.settings)]
        now = _asked(there.content if there else None)
        model = _newly(client.settings, now, missing)
        if model and outdated(own, observed):
            waits |= {(file.user, file.path) for file in own}
            _skip(this, f"the settings of ~{where.user}/{where.directory} stay", model)
    return [file for file in every if (file.user, file.path) not in waits]


def policy(plan: HostPlan, observed: Observation) -> bool:
    """Does the machine's policy wait for a model?"""
    this = run.host_of(plan)
    managed = plan.clients.managed if plan.clients else None
    if managed is None or this is None or not troubles():
        return False
    if not unlike([file for file in files(plan.clients) if file.path == POLICY], observed):
        return False
    try:
        there = observe(this, [Content(POLICY)])[Content(POLICY)]
    except DeployError:
        there = None
    model = _newly(managed.settings, _asked(there), unavailable())
    if model:
        _skip(this, f"{POLICY} stays", model)
    return bool(model)


def _newly(settings: Mapping[str, Any], now: Set[str], missing: needs.Unavailable) -> str:
    """Return a model that the settings newly need, and that is not there; or ""."""
    asked = {*_names(settings)}
    needed = (asked & missing.changed) | ((asked - now) & missing.down)
    return min(needed, default="")


def _asked(content: bytes | None) -> Set[str]:
    """Return what settings that stand on the host ask for."""
    with suppress(NotOurs):
        return {*_names(parsed(content))}
    return frozenset()


def _names(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield the models that a client asks by itself; those to choose from are no need."""
    variables = settings.get("env")
    asked = [settings.get("model"), settings.get("fallbackModel")]
    if isinstance(variables, Mapping):
        asked += [value for name, value in variables.items() if str(name).endswith("_MODEL")]
    for said in asked:
        for each in said if isinstance(said, list | tuple) else [said]:
            if isinstance(each, str):
                yield each.removesuffix("[1m]")


def _skip(this: Host, what: str, model: str) -> None:
    mistake = f"{what} as they are: the new ones need '{model}'."
    skipped.skip(this, skip(mistake, f"Fix {', '.join(troubles())}, then run again."))
