"""New settings that need a model which this run could not provide: a run does not write them.

Keys are not settings: a run writes them in any case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
from typing import Any

from pyinfra.api import Host
from pyinfra.api.exceptions import DeployError

from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.claude.json_file import InvalidFile, parsed
from mirrorfleet.roles.claude.machine_files import POLICY, files
from mirrorfleet.roles.claude.user_settings import assignment_of
from mirrorfleet.roles.litellm import needs
from mirrorfleet.roles.litellm.role import troubles, unavailable
from mirrorfleet.runtime import run, skipped
from mirrorfleet.runtime.facts import Content
from mirrorfleet.runtime.files import HomeFile, outdated, outdated_system_files
from mirrorfleet.runtime.observe import Observation, observe
from mirrorfleet.runtime.problems import skip


def without_deferred(
    plan: HostPlan, every: list[HomeFile], observed: Observation
) -> list[HomeFile]:
    """Return the files of homes without the deferred settings, and report these as skipped."""
    this = run.host_of(plan)
    if not plan.clients or this is None or not troubles():
        return every
    missing, deferred = unavailable(), set()
    for client in plan.clients.users:
        assignment = assignment_of(client)
        paths = (assignment.settings, assignment.state, assignment.backup)
        own = [file for file in every if file.user == client.user and file.path in paths]
        present = observed[assignment.file(assignment.settings)]
        models_now = _models_of(present.content if present else None)
        model = _missing_model(client.settings, models_now, missing)
        if model and outdated(own, observed):
            deferred |= {(file.user, file.path) for file in own}
            _skip(this, f"the settings of ~{client.user}/{client.directory} stay", model)
    return [file for file in every if (file.user, file.path) not in deferred]


def is_policy_deferred(plan: HostPlan, observed: Observation) -> bool:
    """Return whether the machine's new policy needs a missing model; report it as skipped."""
    this = run.host_of(plan)
    managed = plan.clients.managed if plan.clients else None
    if managed is None or this is None or not troubles():
        return False
    if not outdated_system_files(
        [file for file in files(plan.clients) if file.path == POLICY], observed
    ):
        return False
    try:
        present = observe(this, [Content(POLICY)])[Content(POLICY)]
    except DeployError:
        present = None
    model = _missing_model(managed.settings, _models_of(present), unavailable())
    if model:
        _skip(this, f"{POLICY} stays", model)
    return bool(model)


def _missing_model(
    settings: Mapping[str, Any], models_now: Set[str], missing: needs.Unavailable
) -> str:
    """Return an unavailable model that the new settings need and the present ones do not, or ""."""
    needed = {*_names(settings)}
    found = (needed & missing.changed) | ((needed - models_now) & missing.down)
    return min(found, default="")


def _models_of(content: bytes | None) -> Set[str]:
    """Return the models that the settings on the host use."""
    with suppress(InvalidFile):
        return {*_names(parsed(content))}
    return frozenset()


def _names(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield the models that a client uses by default; models to choose from do not count."""
    variables = settings.get("env")
    values = [settings.get("model"), settings.get("fallbackModel")]
    if isinstance(variables, Mapping):
        values += [value for name, value in variables.items() if str(name).endswith("_MODEL")]
    for value in values:
        for name in value if isinstance(value, list | tuple) else [value]:
            if isinstance(name, str):
                yield name.removesuffix("[1m]")


def _skip(this: Host, what: str, model: str) -> None:
    mistake = f"{what} as they are: the new ones need '{model}'."
    skipped.skip(this, skip(mistake, f"Fix {', '.join(troubles())}, then run again."))
