"""What Claude Code must be told so that it agrees with the gateway and with the engine behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fleet.data import table
from fleet.plan.routes import http
from fleet.spec import Developers, Fleet, Gateway, Host, Secret

KEY_FILE = ".claude/mirrorfleet-key"
"""The developer's gateway key, below the home directory, for the owner's eyes only."""


@dataclass(frozen=True)
class ClientPlan:
    """One developer on one host.

    ``settings`` and ``state`` are the keys that the fleet owns in ``~/.claude/settings.json`` and
    ``~/.claude.json``; nested mappings are merged key by key, all else is the developer's.
    """

    user: str
    settings: Mapping[str, Any]
    state: Mapping[str, Any]
    key_file: str
    key: Secret


@dataclass(frozen=True)
class ClaudePlan:
    """The Claude Code clients of one host: one release, and settings per user."""

    version: str
    users: tuple[ClientPlan, ...]


def claude(fleet: Fleet, host: Host) -> ClaudePlan | None:
    """Derive the clients of a host, or ``None`` where nobody works."""
    groups = [group for group in fleet.developers.values() if host.name in group.seats]
    if not groups:
        return None
    return ClaudePlan(
        version=groups[0].version,
        users=tuple(
            client(fleet, group, user) for group in groups for user in group.seats[host.name]
        ),
    )


def gateway_url(fleet: Fleet, gateway: Gateway) -> str:
    """Return where developers reach the gateways, as said or derived from the only one."""
    derived = http(fleet.hosts[gateway.hosts[0]].address, gateway.port)
    return (gateway.url or derived).rstrip("/")


def client(fleet: Fleet, group: Developers, user: str) -> ClientPlan:
    """Derive the settings of one developer from the group and the engine behind its model."""
    assert fleet.gateway is not None, "check refuses developers without a gateway"
    model = fleet.resolve(group.model)
    environment = {
        "ANTHROPIC_BASE_URL": gateway_url(fleet, fleet.gateway),
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(model.context),
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(model.output),
        # The client waits longer than the gateway, which waits as long as the engine needs: the
        # error that the developer sees is the one nearest to its cause.
        "API_TIMEOUT_MS": str((fleet.gateway.timeout + 30) * 1000),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        # A header that changes with every request would spoil the engine's prefix cache.
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
    }
    for tier in table("claude_code"):
        if tier in fleet.aliases:
            environment[f"ANTHROPIC_DEFAULT_{tier.upper()}_MODEL"] = fleet.resolve(tier).name
    return ClientPlan(
        user=user,
        settings={
            # Without a pinned model the client takes a window of its own and ignores ours.
            "model": model.name,
            "apiKeyHelper": f'cat "$HOME/{KEY_FILE}"',
            "env": environment,
        },
        state={"hasCompletedOnboarding": True},
        key_file=KEY_FILE,
        key=group.key,
    )
