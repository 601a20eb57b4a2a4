"""Settings of Claude Code that no release knows, that are ours to say, or that cannot work here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fleet.check.releases import locked
from fleet.claude_settings import Release, release, releases
from fleet.data import table
from fleet.problems import Key, Problem, did_you_mean
from fleet.spec import Developers, Fleet


def problems(fleet: Fleet) -> Iterator[Problem]:
    for group in fleet.developers.values():
        if not group.settings:
            continue
        key: Key = ("developers", group.name, "settings")
        known = release(group.version)
        if known is None:
            if group.version in locked("claude"):  # else its release is the mistake
                yield fleet.document.problem(
                    key,
                    f"cannot be checked: nobody has looked what Claude Code {group.version} knows.",
                    f"Known are {', '.join(releases())}; "
                    f"`python -m tools.claude_settings {group.version}` looks.",
                )
            continue
        for name, value in group.settings.items():
            yield from _setting(fleet, group, known, (*key, name), value)
        yield from _secrets(fleet, key, group.settings)
        yield from _models(fleet, group, key)


def _setting(
    fleet: Fleet, group: Developers, known: Release, key: Key, value: Any
) -> Iterator[Problem]:
    name = str(key[-1])
    derived = table("claude_derived")["settings"]
    if name in derived:
        yield fleet.document.problem(key, "is derived, never said here.", derived[name])
    elif name not in known.settings:
        yield fleet.document.problem(
            key,
            f"is no setting of Claude Code {group.version}.",
            did_you_mean(name, known.settings),
        )
    elif name in HOPELESS:
        yield fleet.document.problem(key, *HOPELESS[name])
    elif known.managed_only(name) and group.scope != "managed":
        yield fleet.document.problem(
            key,
            "is read by the client in managed settings only.",
            "Write scope: managed, or remove it.",
            given=(("developers", group.name, "scope"),),
        )
    elif not known.fits(name, value):
        yield fleet.document.problem(key, f"must be {_wanted(known.settings[name])}.")
    elif name == "env":
        for variable, content in value.items():
            yield from _variable(fleet, group, known, (*key, variable), content)
    elif name == "allowedProviders" and "customEndpoint" not in _words(value):
        yield fleet.document.problem(
            key, "shuts out the gateway, which is a custom endpoint.", "Add customEndpoint."
        )


def _variable(
    fleet: Fleet, group: Developers, known: Release, key: Key, value: str
) -> Iterator[Problem]:
    name = str(key[-1])
    derived = table("claude_derived")["env"]
    if name in derived:
        yield fleet.document.problem(key, "is derived, never said here.", derived[name])
    elif known.misspelt(name):
        yield fleet.document.problem(
            key,
            f"is no variable of Claude Code {group.version}.",
            did_you_mean(name, known.environment),
        )
    elif name.startswith("CLAUDE_CODE_USE_") and name.removeprefix("CLAUDE_CODE_USE_") in AROUND:
        yield fleet.document.problem(
            key,
            "leads the client around the gateway.",
            "Remove it; a provider is a model of this file.",
        )
    elif name == "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY" and group.privacy == "strict":
        yield fleet.document.problem(
            key,
            "asks the gateway for its models, which the privacy level 'strict' stops.",
            "Write privacy: no_telemetry, or remove it.",
        )
    elif name in LIMITS:
        low, high = LIMITS[name]
        if not value.isdecimal() or not low <= int(value) <= high:
            yield fleet.document.problem(
                key, "is outside what the client takes.", f"Write {low} to {high}."
            )


HOPELESS = dict.fromkeys(
    ("forceLoginMethod", "forceLoginOrgUUID", "forceLoginGatewayUrl"),
    ("asks for a login at the vendor's: a client with a gateway's key exits.", "Remove it."),
)

AROUND = ("ANTHROPIC_AWS", "ANTHROPIC_GOOGLE_CLOUD", "BEDROCK", "FOUNDRY", "MANTLE", "VERTEX")

LIMITS = {
    # The client takes the nearer end of what lies outside, and says nothing.
    "CLAUDE_CODE_MAX_RETRIES": (0, 15),
    "CLAUDE_STREAM_IDLE_TIMEOUT_MS": (300_000, 86_400_000),
}


def _wanted(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    return WANTED[schema["type"]]


WANTED = {
    "string": "text",
    "boolean": "true or false",
    "number": "a number",
    "array": "a list of texts",
    "object": "a mapping of names to texts",
}


def _words(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


SECRET = re.compile(r"(token|secret|password|authorization|api[_-]?key)$", re.IGNORECASE)
LOOKS_SECRET = re.compile(r"^(Bearer |sk-|ghp_|github_pat_|xox[a-z]-|AKIA)|:[^/@\s]+@")


def _secrets(fleet: Fleet, key: Key, value: Any) -> Iterator[Problem]:
    """Find literal secrets, however deep; their values are not told."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _secrets(fleet, (*key, name), each)
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _secrets(fleet, (*key, at), each)
    elif isinstance(value, str) and value and not value.startswith("$"):
        named = isinstance(key[-1], str) and SECRET.search(key[-1])
        derived = key[-1] in table("claude_derived")["env"]
        if (named or LOOKS_SECRET.search(value)) and not derived:
            yield fleet.document.problem(
                key,
                "holds a secret, in a file that many read.",
                "Let a helper of the client fetch it, such as otelHeadersHelper.",
            )


ROUTED = ("availableModels", "fallbackModel")


def _models(fleet: Fleet, group: Developers, key: Key) -> Iterator[Problem]:
    """Models that the client may ask for, and that no gateway of this file knows."""
    answers = {*fleet.document.names("models"), *fleet.document.names("aliases")}
    for tier, identities in table("claude_code").items():
        if tier in fleet.aliases:
            answers.update(identities)
    for name in ROUTED:
        for at, model in enumerate(_words(group.settings.get(name))):
            if model not in answers:
                yield fleet.document.problem(
                    (*key, name, at),
                    f"names '{model}', which the gateway does not route.",
                    did_you_mean(model, answers),
                    given=(("models",), ("aliases",)),
                )
    own = fleet.find(group.model)
    allowed = _words(group.settings.get("availableModels"))
    denied = _words(group.settings.get("deniedModels"))
    if own and allowed and own.name not in allowed:
        yield fleet.document.problem(
            (*key, "availableModels"),
            f"lacks '{own.name}', with which the group's sessions start.",
            f"Add {own.name}.",
        )
    if own and own.name in denied:
        yield fleet.document.problem(
            (*key, "deniedModels"),
            f"holds '{own.name}', with which the group's sessions start.",
            f"Remove {own.name}.",
        )
