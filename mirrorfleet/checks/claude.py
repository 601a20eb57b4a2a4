"""Settings of Claude Code that are unknown, derived, or that cannot work with a gateway."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mirrorfleet.config import Developers, Fleet
from mirrorfleet.config.claude_settings import Release, release
from mirrorfleet.config.key_holders import opens
from mirrorfleet.config.problems import Key, Problem, did_you_mean
from mirrorfleet.data import proposed, table


def problems(fleet: Fleet) -> Iterator[Problem]:
    for group in fleet.developers.values():
        if not group.settings:
            continue
        key: Key = ("developers", group.name, "settings")
        known = release(group.version, fleet.locks)
        if known is None:
            yield from _unknown_release(fleet, group, key)
            continue
        for name, value in group.settings.items():
            yield from _setting(fleet, group, known, (*key, name), value)
        yield from _secrets(fleet, key, group.settings)
        yield from _models(fleet, group, key)


def _unknown_release(fleet: Fleet, group: Developers, key: Key) -> Iterator[Problem]:
    """Yield the problems of a group with a release whose settings are not known.

    Without a lock file, the check of releases reports it. With a lock file of the project, warn,
    and refuse only derived settings, secrets and unknown models.
    """
    lock = fleet.locks.find("claude", group.version)
    if lock is None:
        return
    if not lock.own:
        yield fleet.document.problem(
            key,
            f"cannot be checked: Mirrorfleet does not know Claude Code {group.version}.",
            f"Write {proposed('claude')}, or run `mirrorfleet lock claude {group.version}` "
            "to add it.",
        )
        return
    yield fleet.document.warning(
        key,
        f"are not checked: Mirrorfleet does not know Claude Code {group.version}.",
        f"Run `mirrorfleet lock claude {group.version}` to add it.",
    )
    derived = table("claude_derived")
    for name, value in group.settings.items():
        if name in derived["settings"]:
            yield _derived(fleet, (*key, name), derived["settings"][name])
        elif name == "env" and isinstance(value, dict):
            for variable in derived["env"].keys() & value:
                yield _derived(fleet, (*key, name, variable), derived["env"][variable])
    yield from _secrets(fleet, key, group.settings)
    yield from _models(fleet, group, key)


def _derived(fleet: Fleet, key: Key, remedy: str) -> Problem:
    return fleet.document.problem(key, "cannot be set here.", remedy)


def _setting(
    fleet: Fleet, group: Developers, known: Release, key: Key, value: Any
) -> Iterator[Problem]:
    name = str(key[-1])
    derived = table("claude_derived")["settings"]
    if name in derived:
        yield _derived(fleet, key, derived[name])
    elif name not in known.settings:
        yield _unknown(fleet, group, known, key)
    elif name in LOGIN:
        yield fleet.document.problem(
            key, "requires a login at the vendor: a client with a gateway key exits.", "Remove it."
        )
    elif known.managed_only(name) and group.scope != "managed":
        yield fleet.document.problem(
            key,
            "has an effect only in managed settings.",
            "Write scope: managed, or remove it.",
            given=(("developers", group.name, "scope"),),
        )
    elif name == "env" and isinstance(value, dict):
        for variable, content in value.items():
            yield from _variable(fleet, group, known, (*key, variable), content)
    elif mistakes := list(known.mistakes(name, value)):
        for inner, mistake, fix in mistakes:
            yield fleet.document.problem((*key, *inner), mistake, fix)
    elif name == "allowedProviders" and "customEndpoint" not in _strings(value):
        yield fleet.document.problem(
            key, "excludes the gateway, which is a custom endpoint.", "Add customEndpoint."
        )


def _unknown(fleet: Fleet, group: Developers, known: Release, key: Key) -> Problem:
    name = str(key[-1])
    mistake, fix = (
        f"is not a setting of Claude Code {group.version}",
        did_you_mean(name, known.settings),
    )
    if outer := known.around(name):
        mistake += f", but a key inside '{outer}'"
        fix = table("claude_derived")["settings"].get(outer, f"Write settings: {{{outer}: …}}.")
    return fleet.document.problem(key, f"{mistake}.", fix)


def _variable(
    fleet: Fleet, group: Developers, known: Release, key: Key, value: Any
) -> Iterator[Problem]:
    name = str(key[-1])
    derived = table("claude_derived")["env"]
    if name in derived:
        yield _derived(fleet, key, derived[name])
    elif close := known.close_variable(name):
        yield fleet.document.problem(
            key, f"is not a variable of Claude Code {group.version}.", f"Did you mean '{close}'?"
        )
    elif not isinstance(value, str):
        yield fleet.document.problem(key, "must be text.", "Quote it.")
    elif known.foreign(name):
        yield fleet.document.warning(
            key,
            f"is not a variable of Claude Code {group.version}: only programs that it starts can "
            "read it.",
            "Remove it, unless one of your hooks or tools reads it.",
        )
    elif name.startswith("CLAUDE_CODE_USE_") and name.removeprefix("CLAUDE_CODE_USE_") in BYPASSES:
        yield fleet.document.problem(
            key,
            "makes the client bypass the gateway.",
            "Remove it, and add the provider under 'models'.",
        )
    elif name == "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY" and group.privacy == "strict":
        yield fleet.document.problem(
            key,
            "has no effect: privacy: strict disables model discovery.",
            "Write privacy: no_telemetry, or remove it.",
        )
    elif name == "MAX_THINKING_TOKENS":
        yield from _thinking_budget(fleet, group, key, value)
    elif name in LIMITS:
        low, high = LIMITS[name]
        if not value.isdecimal() or not low <= int(value) <= high:
            yield fleet.document.problem(
                key,
                "is outside the range that the client accepts.",
                f"Write a number from {low} to {high}.",
            )


BUDGETED = re.compile(r"claude-(3|(haiku|opus|sonnet)-4)-")
"""Names of models for which the client (2.1.330) sends a budget; it lets others decide."""


def _thinking_budget(fleet: Fleet, group: Developers, key: Key, value: str) -> Iterator[Problem]:
    if not value.isdecimal():
        yield fleet.document.problem(key, "must be a number of tokens.", 'For example: "8000".')
        return
    names = [*fleet.models, *fleet.aliases]
    opened = [name for name in names if (model := fleet.find(name)) and opens(fleet, group, model)]
    if not any(BUDGETED.match(name) for name in opened):
        yield fleet.document.warning(
            key,
            "has no effect: of the group's models, none has a name for which Claude Code sends a "
            "budget, such as claude-haiku-4-5.",
            "Remove it, or write thinking: false to disable thinking.",
            given=(("models",), ("aliases",)),
        )


LOGIN = ("forceLoginMethod", "forceLoginOrgUUID", "forceLoginGatewayUrl")
"""Settings that require a login at the vendor."""

BYPASSES = ("ANTHROPIC_AWS", "ANTHROPIC_GOOGLE_CLOUD", "BEDROCK", "FOUNDRY", "MANTLE", "VERTEX")
"""Providers that CLAUDE_CODE_USE_PROVIDER connects the client to, without the gateway."""

LIMITS = {
    # The client replaces a value outside by the nearest limit, without a message.
    "CLAUDE_CODE_MAX_RETRIES": (0, 15),
    "CLAUDE_STREAM_IDLE_TIMEOUT_MS": (300_000, 86_400_000),
}


def _strings(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


SECRET = re.compile(r"(token|secret|password|authorization|api[_-]?key)$", re.IGNORECASE)
LOOKS_SECRET = re.compile(r"^(Bearer |sk-|ghp_|github_pat_|xox[a-z]-|AKIA)|:[^/@\s]+@")
REFERENCE = re.compile(r"^((Bearer|Basic|Token) )?\$")
"""A reference to a variable of the developer's shell, as the headers of a hook may have."""

HEADER = re.compile(r"\s*([^\s:=,]+)\s*[:=]\s*([^\n,]*)")
IN_HEADERS = re.compile(
    r"key|token|secret|auth|cookie|password|credential|honeycomb", re.IGNORECASE
)
"""Names of headers that authenticate a client; Honeycomb's is x-honeycomb-team."""


def _secrets(fleet: Fleet, key: Key, value: Any) -> Iterator[Problem]:
    """Yield a problem for each literal secret at any depth, without its value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _secrets(fleet, (*key, name), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _secrets(fleet, (*key, index), inner)
    elif isinstance(value, str) and value and not REFERENCE.match(value):
        yield from _secret(fleet, key, value)


def literal_secrets(value: Any, path: Key = ()) -> Iterator[tuple[Key, str]]:
    """Yield where a server of .mcp.json has a literal secret, and what gives it away."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, inner in items:
            yield from literal_secrets(inner, (*path, name))
    elif isinstance(value, str) and value and "${" not in value:
        if path and SECRET.search(str(path[-1])):
            yield path, "its name says so"
        elif LOOKS_SECRET.search(value):
            yield path, "it looks like one"


def _secret(fleet: Fleet, key: Key, value: str) -> Iterator[Problem]:
    name = str(key[-1])
    if name in table("claude_derived")["env"]:
        return
    headers = HEADER.findall(value) if name.endswith("_HEADERS") else []
    secret = [header for header, content in headers if _is_secret(header, content)]
    if secret:
        yield fleet.document.problem(
            key,
            f"has a secret in the header '{secret[0]}': the fleet file must not contain secrets.",
            "Remove it: the gateway identifies developers by their keys."
            if name == "ANTHROPIC_CUSTOM_HEADERS"
            else "Write settings: {otelHeadersHelper: COMMAND}, which prints the headers.",
        )
    elif SECRET.search(name) or LOOKS_SECRET.search(value):
        yield fleet.document.problem(
            key,
            "is a secret: the fleet file must not contain secrets.",
            "Use a helper command of Claude Code, for example otelHeadersHelper.",
        )


def _is_secret(header: str, content: str) -> bool:
    return bool(content) and bool(IN_HEADERS.search(header) or LOOKS_SECRET.search(content))


ROUTED = ("availableModels", "fallbackModel")


def _models(fleet: Fleet, group: Developers, key: Key) -> Iterator[Problem]:
    """Yield a problem for each model in the settings that no gateway routes."""
    routed = {*fleet.document.names("models"), *fleet.document.names("aliases")}
    for tier, identities in fleet.client_ids.items():
        if tier in fleet.aliases:
            routed.update(identities)
    for name in ROUTED:
        for index, model in enumerate(_strings(group.settings.get(name))):
            if model not in routed:
                yield fleet.document.problem(
                    (*key, name, index),
                    f"'{model}' is not a model that the gateway routes.",
                    did_you_mean(model, routed),
                    given=(("models",), ("aliases",)),
                )
    own = fleet.find(group.model)
    allowed = _strings(group.settings.get("availableModels"))
    denied = _strings(group.settings.get("deniedModels"))
    if own and allowed and own.name not in allowed:
        yield fleet.document.problem(
            (*key, "availableModels"),
            f"does not have '{own.name}', the group's model.",
            f"Add {own.name}.",
        )
    if own and own.name in denied:
        yield fleet.document.problem(
            (*key, "deniedModels"),
            f"has '{own.name}', the group's model.",
            f"Remove {own.name}.",
        )
