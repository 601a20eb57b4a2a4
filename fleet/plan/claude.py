"""What Claude Code must be told so that it agrees with the gateway and with the engine behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from fleet.data import table
from fleet.plan.routes import http
from fleet.plan.why import Why, comes
from fleet.spec import Developers, Fleet, Gateway, Host, Secret

KEY_FILE = ".claude/mirrorfleet-key"
"""The developer's gateway key, below the home directory, for the owner's eyes only."""


@dataclass(frozen=True)
class ClientPlan:
    """One developer on one host.

    ``settings`` and ``state`` are the keys that the fleet owns in ``~/.claude/settings.json`` and
    ``~/.claude.json``; nested mappings are merged key by key, all else is the developer's.
    """

    user: str = comes("developers.{group}.users", "developers.{group}.seats.{host}")
    group: str = comes("developers.{group}")
    settings: Mapping[str, Any] = comes("developers.{group}")
    state: Mapping[str, Any] = comes(
        because="a first run would otherwise ask for a login at the vendor's"
    )
    key_file: str = comes(because="below the home directory, for its owner alone")
    key: Secret = comes("developers.{group}.key")


@dataclass(frozen=True)
class ClaudePlan:
    """The Claude Code clients of one host: one release, and settings per user."""

    version: str = comes("developers", because="one release per host, the same in all its groups")
    users: tuple[ClientPlan, ...] = comes("developers")


class Setting(NamedTuple):
    """A value of a client's settings, and where it comes from."""

    value: Any
    why: Why


def claude(fleet: Fleet, host: Host) -> ClaudePlan | None:
    """Derive the clients of a host, or ``None`` where nobody works."""
    groups = [group for group in fleet.developers.values() if host.name in group.seats]
    if not groups:
        return None
    return ClaudePlan(
        version=groups[0].version,
        users=tuple(
            client for group in groups for client in _clients(fleet, group, group.seats[host.name])
        ),
    )


def _clients(fleet: Fleet, group: Developers, users: tuple[str, ...]) -> list[ClientPlan]:
    nested = _nested(settings(fleet, group))
    return [
        ClientPlan(
            user=user,
            group=group.name,
            settings=nested,
            state={"hasCompletedOnboarding": True},
            key_file=KEY_FILE,
            key=group.key,
        )
        for user in users
    ]


def _nested(said: Mapping[tuple[str, ...], Setting]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for (*above, name), setting in said.items():
        inner = nested
        for part in above:
            inner = inner.setdefault(part, {})
        inner[name] = setting.value
    return nested


def settings(fleet: Fleet, group: Developers) -> dict[tuple[str, ...], Setting]:
    """Derive the settings of a group from what it wants and the engine behind its model.

    The keys are paths in settings.json: ``("env", "API_TIMEOUT_MS")``.
    """
    gateway = fleet.gateway
    assert gateway is not None, "check refuses developers without a gateway"
    model = fleet.resolve(group.model)
    wanted, served = f"developers.{group.name}.model", f"models.{model.name}"
    said = {
        ("model",): Setting(
            model.name,
            Why((wanted,), "pinned, because without it the client takes a window of its own"),
        ),
        ("apiKeyHelper",): Setting(
            f'cat "$HOME/{KEY_FILE}"',
            Why((f"developers.{group.name}.key",), "read from a file of the developer's own"),
        ),
        ("env", "ANTHROPIC_BASE_URL"): Setting(
            gateway_url(fleet, gateway),
            Why(("gateway.url", "gateway.hosts", "gateway.port"), "of one gateway it is derived"),
        ),
        ("env", "CLAUDE_CODE_MAX_CONTEXT_TOKENS"): Setting(
            str(model.context),
            Why((f"{served}.context", wanted), "the window of the engine behind the model"),
        ),
        ("env", "CLAUDE_CODE_MAX_OUTPUT_TOKENS"): Setting(
            str(model.output),
            Why((f"{served}.output", wanted), "so that prompt and answer fit the window"),
        ),
        ("env", "API_TIMEOUT_MS"): Setting(
            str((gateway.timeout + 30) * 1000),
            Why(
                ("gateway.timeout",),
                "30 s more than the gateway waits: the error that is seen is nearest to its cause",
            ),
        ),
        ("env", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"): _always("nothing goes to the vendor"),
        ("env", "DISABLE_AUTOUPDATER"): _always("the fleet decides the release"),
        ("env", "CLAUDE_CODE_ATTRIBUTION_HEADER"): _always(
            "a header that changes with every request would spoil the engine's prefix cache", "0"
        ),
    }
    for tier in table("claude_code"):
        if tier in fleet.aliases:
            said["env", f"ANTHROPIC_DEFAULT_{tier.upper()}_MODEL"] = Setting(
                fleet.resolve(tier).name, Why((f"aliases.{tier}",))
            )
    return said


def _always(reason: str, value: str = "1") -> Setting:
    return Setting(value, Why((), reason))


def gateway_url(fleet: Fleet, gateway: Gateway) -> str:
    """Return where developers reach the gateways, as said or derived from the only one."""
    derived = http(fleet.hosts[gateway.hosts[0]].address, gateway.port)
    return (gateway.url or derived).rstrip("/")
