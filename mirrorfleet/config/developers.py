"""Groups of developers, who use Claude Code through the gateways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mirrorfleet.config import claude_files
from mirrorfleet.config.claude_files import ClaudeFiles
from mirrorfleet.config.hosts import Host, chosen
from mirrorfleet.config.reader import Secret, Section

Scope = Literal["user", "managed", "isolated"]
FORMER_SCOPES: Mapping[str, Scope] = {"mirror": "isolated"}
"""Former names of scopes, still accepted."""

Privacy = Literal["strict", "no_telemetry", "none"]

Api = Literal["claude", "openai"]
"""An API that gateways open for the keys of a group: Anthropic's, or OpenAI's."""


@dataclass(frozen=True)
class Permissions:
    """Claude Code's permission rules: allowed without a question, after a question, or never."""

    allow: tuple[str, ...]
    ask: tuple[str, ...]
    deny: tuple[str, ...]
    default_mode: str | None
    disable_bypass: bool
    additional_directories: tuple[str, ...]


@dataclass(frozen=True)
class Certificates:
    """Extra CA certificates: a file of the controller (``push``) or of the hosts (``path``)."""

    kind: Literal["push", "path"]
    source: str


@dataclass(frozen=True)
class Proxy:
    """``no_proxy`` is ``None`` if it is derived."""

    url: str
    no_proxy: tuple[str, ...] | None


@dataclass(frozen=True)
class Developers:
    """``users_by_host`` are the group's login names by host. ``packaged`` are the login names of
    people who install a package, on machines that are not hosts of the fleet.

    ``settings`` are Claude Code's own, besides the derived ones. ``command`` is the name of the
    group's own command, used with the scope ``isolated`` only. ``key`` is one key for the whole
    group. ``models`` are those that the group's keys may use; empty stands for all. ``key_helper``
    is a command of the developers' machines that prints the key, instead of a file in the home.
    ``files`` are distributed to the machines. ``clients`` are the APIs that the group's keys open,
    ``mcp_servers`` the gateways' MCP servers.
    """

    name: str
    users_by_host: Mapping[str, tuple[str, ...]]
    packaged: tuple[str, ...]
    scope: Scope
    command: str
    ring: str | None
    model: str
    subagent_model: str | None
    thinking: bool | None
    status_line: bool
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
    key_helper: str | None
    files: ClaudeFiles
    clients: tuple[Api, ...]
    mcp_servers: tuple[str, ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(self.users_by_host)

    @property
    def logins(self) -> tuple[str, ...]:
        """Return all login names, without duplicates."""
        users = (user for users in self.users_by_host.values() for user in users)
        return tuple(dict.fromkeys([*users, *self.packaged]))

    def person(self, host: str, login: str) -> str:
        """Return the person of a login of the group."""
        return self.people.get(f"{login}@{host}", self.people.get(login, login))


def developers(section: Section, hosts: Mapping[str, Host]) -> Developers:
    """Read one group of ``developers``."""
    scope = section["scope"]
    return Developers(
        name=section.name,
        users_by_host=_users_by_host(section, hosts),
        packaged=section.strings("packaged"),
        scope=FORMER_SCOPES.get(scope, scope),
        command=section.get("command") or f"claude-{section.name}",
        ring=section.get("ring"),
        model=section["model"],
        subagent_model=section.get("subagent_model"),
        thinking=section.get("thinking"),
        status_line=section["status_line"],
        version=section["version"],
        minimum_version=section.get("minimum_version"),
        maximum_version=section.get("maximum_version"),
        privacy=section["privacy"],
        permissions=_permissions(section.mapping("permissions")),
        settings=section["settings"],
        ca_certificates=_certificates(section),
        proxy=_proxy(section),
        key=section.secret("key"),
        people=section["people"],
        rotation=section["rotation"],
        expires=section.get("expires"),
        models=section.strings("models"),
        key_helper=section.get("key_helper"),
        files=_files(section),
        clients=tuple(section["clients"]),
        mcp_servers=section.strings("mcp_servers"),
    )


def _users_by_host(section: Section, hosts: Mapping[str, Host]) -> Mapping[str, tuple[str, ...]]:
    if "seats" in section:
        return {host: tuple(users) for host, users in section["seats"].items()}
    if "packaged" in section:
        return {}
    return dict.fromkeys(chosen(section, hosts), section.strings("users"))


def _files(section: Section) -> ClaudeFiles:
    names = section.get("files") or []
    listed = [names] if isinstance(names, str) else names
    key = (*section.key, "files")
    places = [key if isinstance(names, str) else (*key, at) for at in range(len(listed))]
    return claude_files.read(
        [
            Path(section.document.place(at).file).parent / name
            for at, name in zip(places, listed, strict=True)
        ]
    )


def _permissions(section: Section) -> Permissions:
    return Permissions(
        allow=section.strings("allow"),
        ask=section.strings("ask"),
        deny=section.strings("deny"),
        default_mode=section.get("default_mode"),
        disable_bypass=section["disable_bypass"],
        additional_directories=section.strings("additional_directories"),
    )


def _certificates(section: Section) -> Certificates | None:
    if "ca_certificates" not in section:
        return None
    certificates = section.mapping("ca_certificates")
    if "push" in certificates:
        return Certificates("push", str(certificates.path("push")))
    return Certificates("path", certificates["path"])


def _proxy(section: Section) -> Proxy | None:
    if "proxy" not in section:
        return None
    proxy = section.mapping("proxy")
    return Proxy(proxy["url"], proxy.strings("no_proxy") if "no_proxy" in proxy else None)
