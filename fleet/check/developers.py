"""Developers whose settings would contradict what stands behind the gateway, or their release."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.version import Version

from fleet.data import table
from fleet.plan.settings import MARGIN
from fleet.problems import Problem
from fleet.spec import Developers, Fleet

SMALLEST = 65_536
"""Tokens. Claude Code's own prompt takes 15,000 to 57,000 of them before the work begins."""

ROOM = 32_768
"""Tokens of a conversation, that prompt among them, without which compacting gains little."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    for group in fleet.developers.values():
        yield from _window(fleet, group)
        yield from _tiers(fleet, group)
        yield from _bounds(fleet, group)
        yield from _command(fleet, group)
        yield from _bypass(fleet, group)


def _window(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    model = fleet.find(group.model)
    if model and model.context < SMALLEST:
        yield fleet.document.warning(
            ("developers", group.name, "model"),
            f"leads to '{model.name}' with a window of {model.context}: Claude Code's own prompt "
            "takes up to 57000.",
            f"Give it {SMALLEST} or more, or another model.",
        )
    elif model and 0 < model.context - model.output < MARGIN + ROOM:
        yield fleet.document.warning(
            ("developers", group.name, "model"),
            f"leads to '{model.name}', whose answers of up to {model.output} tokens leave a "
            f"conversation {max(0, model.context - model.output - MARGIN)} before it is compacted: "
            "Claude Code's own prompt alone may take more.",
            f"Give '{model.name}' an output of {model.context - MARGIN - ROOM} or less, or a "
            "larger context.",
        )
    # The client counts with one window for all that it asks: that of `model`.
    other = fleet.find(group.subagent_model) if group.subagent_model else None
    if model and other and other.context < model.context:
        yield fleet.document.warning(
            ("developers", group.name, "subagent_model"),
            f"leads to '{other.name}' with a window of {other.context}, and the client counts with "
            f"the {model.context} of '{model.name}' for subagents too: long ones will not fit.",
            "Name a model with a window at least as large.",
        )


def _tiers(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    """The client caps the answers of all its models alike: those of the tiers need the room."""
    model = fleet.find(group.model)
    for tier in table("claude_code"):
        other = fleet.find(tier)
        if model and other and other is not model and model.output >= other.context:
            yield fleet.document.problem(
                ("developers", group.name, "model"),
                f"leads to '{model.name}' with answers of {model.output} tokens, and '{tier}' to "
                f"'{other.name}', whose window is {other.context}: no room for a prompt.",
                f"Give '{model.name}' a smaller 'output', or '{tier}' another model.",
            )


def _bounds(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    for name, bound, beyond in (
        ("minimum_version", group.minimum_version, "above"),
        ("maximum_version", group.maximum_version, "below"),
    ):
        if bound is None:
            continue
        key = ("developers", group.name, name)
        if group.scope != "managed":
            yield fleet.document.problem(
                key,
                "is read by the client in managed settings only.",
                "Write scope: managed, or remove it.",
            )
        outside = {
            "above": Version(bound) > Version(group.version),
            "below": Version(bound) < Version(group.version),
        }
        if outside[beyond]:
            yield fleet.document.problem(
                key,
                f"is {bound}, {beyond} the group's own version {group.version}: its client would "
                "not start.",
                f"Write {group.version}, or another version.",
            )


def _command(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    if group.scope != "mirror" and "command" in fleet.document.data["developers"][group.name]:
        yield fleet.document.problem(
            ("developers", group.name, "command"),
            f"names a mirror's command, and the scope is {group.scope}.",
            "Write scope: mirror, or remove it.",
        )


def _bypass(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    mode = group.permissions.default_mode
    if group.permissions.disable_bypass and mode == "bypassPermissions":
        yield fleet.document.problem(
            ("developers", group.name, "permissions", "default_mode"),
            "is the mode that disable_bypass forbids.",
            "Write another one.",
        )
