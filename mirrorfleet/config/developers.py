"""Groups of people who use Claude Code through the gateways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mirrorfleet.config.hosts import Host, chosen
from mirrorfleet.config.reader import Secret, Section

Scope = Literal["user", "managed", "isolated"]
FORMER_SCOPES: Mapping[str, Scope] = {"mirror": "isolated"}
"""Former names of scopes, accepted without end."""

Privacy = Literal["strict", "no_telemetry", "none"]


@dataclass(frozen=True)
class Permissions:
    """What Claude Code may do without asking, must ask for, and may not do at all."""

    allow: tuple[str, ...]
    ask: tuple[str, ...]
    deny: tuple[str, ...]
    default_mode: str | None
    disable_bypass: bool


@dataclass(frozen=True)
class Certificates:
    """Certificates that clients trust: a file of the controller (push) or of the hosts (path)."""

    kind: Literal["push", "path"]
    source: str


@dataclass(frozen=True)
class Proxy:
    """``no_proxy`` is derived when it is not said."""

    url: str
    no_proxy: tuple[str, ...] | None


@dataclass(frozen=True)
class Developers:
    """``seats`` are the login names of the group on each of its hosts; ``packaged`` are those of
    people whose machines are no hosts of the fleet.

    ``settings`` are Claude Code's own, beyond those that are derived; ``command`` is the name of
    the group's own Claude Code, for the scope ``isolated`` alone. ``key`` is one that all share;
    ``models`` are those that the group's keys open, none said being all.
    """

    name: str
    seats: Mapping[str, tuple[str, ...]]
    packaged: tuple[str, ...]
    scope: Scope
    command: str
    model: str
    subagent_model: str | None
    thinking: bool | None
    version: str
    minimum_version: str | None
    maximum_version: str | None
    privacy: Privacy
    permissions: Permissions
    settings: Mapping[str, Any]
    ca_certificates: Certificates | None
    proxy: Proxy | None
    key: Secret | None
    people: Mapping[str, str]
    rotation: int
    expires: str | None
    models: tuple[str, ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(self.seats)

    @property
    def logins(self) -> tuple[str, ...]:
        """Everybody's login name, once."""
        seated = (user for users in self.seats.values() for user in users)
        return tuple(dict.fromkeys([*seated, *self.packaged]))

    def person(self, host: str, login: str) -> str:
        """Return who sits behind a login of the group."""
        return self.people.get(f"{login}@{host}", self.people.get(login, login))


def developers(said: Section, hosts: Mapping[str, Host]) -> Developers:
    return Developers(
        name=said.name,
        seats=_seats(said, hosts),
        packaged=said.words("packaged"),
        scope=FORMER_SCOPES.get(said.get("scope"), said.get("scope", "user")),
        command=said.get("command", f"claude-{said.name}"),
        model=said["model"],
        subagent_model=said.get("subagent_model"),
        thinking=said.get("thinking"),
        version=said["version"],
        minimum_version=said.get("minimum_version"),
        maximum_version=said.get("maximum_version"),
        privacy=said.get("privacy", "strict"),
        permissions=_permissions(said.section("permissions")),
        settings=said.get("settings", {}),
        ca_certificates=_certificates(said),
        proxy=_proxy(said),
        key=said.secret("key"),
        people=said.get("people", {}),
        rotation=said.get("rotation", 1),
        expires=said.get("expires"),
        models=said.words("models"),
    )


def _seats(said: Section, hosts: Mapping[str, Host]) -> Mapping[str, tuple[str, ...]]:
    if "seats" in said:
        return {host: tuple(users) for host, users in said["seats"].items()}
    if "packaged" in said:
        return {}
    return dict.fromkeys(chosen(said, hosts), said.words("users"))


def _permissions(said: Section) -> Permissions:
    return Permissions(
        allow=said.words("allow"),
        ask=said.words("ask"),
        deny=said.words("deny"),
        default_mode=said.get("default_mode"),
        disable_bypass=said.get("disable_bypass", False),
    )


def _certificates(said: Section) -> Certificates | None:
    if "ca_certificates" not in said:
        return None
    which = said.section("ca_certificates")
    if "push" in which:
        return Certificates("push", str(which.path("push")))
    return Certificates("path", which["path"])


def _proxy(said: Section) -> Proxy | None:
    if "proxy" not in said:
        return None
    proxy = said.section("proxy")
    return Proxy(proxy["url"], proxy.words("no_proxy") if "no_proxy" in proxy else None)
