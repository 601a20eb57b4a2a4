"""Groups of developers with settings that contradict each other or the client release."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.version import Version

from mirrorfleet.config import Developers, Fleet
from mirrorfleet.config.key_holders import opens
from mirrorfleet.config.problems import Problem
from mirrorfleet.engines.abilities import is_claude


def problems(fleet: Fleet) -> Iterator[Problem]:
    for group in fleet.developers.values():
        yield from _bounds(fleet, group)
        yield from _command(fleet, group)
        yield from _bypass(fleet, group)
        yield from _clients(fleet, group)
        yield from _status_line(fleet, group)


def _bounds(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    for name, bound, side in (
        ("minimum_version", group.minimum_version, "above"),
        ("maximum_version", group.maximum_version, "below"),
    ):
        if bound is None:
            continue
        key = ("developers", group.name, name)
        if group.scope != "managed":
            yield fleet.document.problem(
                key,
                "has an effect only in managed settings.",
                "Write scope: managed, or remove it.",
                given=(("developers", group.name, "scope"),),
            )
        outside = {
            "above": Version(bound) > Version(group.version),
            "below": Version(bound) < Version(group.version),
        }
        if outside[side]:
            yield fleet.document.problem(
                key,
                f"is {bound}, {side} the group's version {group.version}: the client would not "
                "start.",
                f"Write {group.version}, or change 'version'.",
            )


def _command(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    if group.scope != "isolated" and "command" in fleet.document.data["developers"][group.name]:
        yield fleet.document.problem(
            ("developers", group.name, "command"),
            f"applies only with scope: isolated, and the scope is {group.scope}.",
            "Write scope: isolated, or remove it.",
            given=(("developers", group.name, "scope"),),
        )


def _status_line(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    key, gateway = ("developers", group.name, "status_line"), fleet.gateway
    if group.status_line and fleet.external_gateway:
        yield fleet.document.problem(
            key, "needs a gateway that Mirrorfleet installs.", "Remove it."
        )
    if not group.status_line or gateway is None:
        return
    if not gateway.usage:
        yield fleet.document.problem(
            key,
            "has nothing to show: the gateways count no usage.",
            "Add gateway.usage, or remove it.",
            given=(("gateway", "usage"),),
        )
    if group.packaged:
        yield fleet.document.problem(
            key,
            "needs a program on the developers' machines, and packages do not contain it.",
            "Remove it, or make the machines hosts of the fleet.",
            given=(("developers", group.name, "packaged"),),
        )
    if "statusLine" in group.settings:
        yield fleet.document.problem(
            key,
            "and settings.statusLine set the same status line.",
            "Remove one of the two.",
            given=(("developers", group.name, "settings", "statusLine"),),
        )


def _bypass(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    mode = group.permissions.default_mode
    if mode == "auto" and "disableAutoMode" in group.settings:
        yield fleet.document.problem(
            ("developers", group.name, "permissions", "default_mode"),
            "is auto, which settings.disableAutoMode disables.",
            "Write default_mode: default, or remove disableAutoMode.",
        )
    elif mode == "auto":
        yield from _unchecked(fleet, group)
    if group.permissions.disable_bypass and mode == "bypassPermissions":
        yield fleet.document.problem(
            ("developers", group.name, "permissions", "default_mode"),
            "is bypassPermissions, which disable_bypass disables.",
            "Write default_mode: default, or remove disable_bypass.",
        )


def _clients(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    if "claude" not in group.clients:
        yield fleet.document.problem(
            ("developers", group.name, "clients"),
            f"is {', '.join(group.clients)}, but each group of developers has Claude Code.",
            "Write clients: [claude, openai].",
        )


def _unchecked(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    others = [
        model.name
        for model in fleet.models.values()
        if not is_claude(model) and opens(fleet, group, model)
    ]
    if others:
        yield fleet.document.warning(
            ("developers", group.name, "permissions", "default_mode"),
            "is auto, whose safety check runs at Anthropic and does not work with "
            f"{', '.join(map(repr, others))}: the first risky action stops the turn, and "
            "`claude -p` exits with 1.",
            "Write default_mode: acceptEdits or default.",
        )
