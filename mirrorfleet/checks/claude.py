"""Settings of Claude Code that no release knows, that are ours to say, or that cannot work here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mirrorfleet.config import Developers, Fleet
from mirrorfleet.config.claude_settings import Release, release, releases
from mirrorfleet.config.problems import Key, Problem, did_you_mean
from mirrorfleet.data import table


def problems(fleet: Fleet) -> Iterator[Problem]:
    for group in fleet.developers.values():
        if not group.settings:
            continue
        key: Key = ("developers", group.name, "settings")
        known = release(group.version)
        if known is None:
            yield from _unknown_release(fleet, group, key)
            continue
        for name, value in group.settings.items():
            yield from _setting(fleet, group, known, (*key, name), value)
        yield from _secrets(fleet, key, group.settings)
        yield from _models(fleet, group, key)


def _unknown_release(fleet: Fleet, group: Developers, key: Key) -> Iterator[Problem]:
    """Yield that the settings cannot be checked; without a lock file, the release is the mistake.

    With a lock file of the fleet's own repository, only what no release may have is refused.
    """
    lock = fleet.locks.find("claude", group.version)
    if lock is None:
        return
    if not lock.own:
        yield fleet.document.problem(
            key,
            f"cannot be checked: nobody has looked what Claude Code {group.version} knows.",
            f"Known are {', '.join(releases())}; "
            f"`python -m tools.claude_settings {group.version}` looks.",
        )
        return
    yield fleet.document.warning(
        key,
        f"are not checked: the settings of Claude Code {group.version} are not known here.",
        f"Known are those of {', '.join(releases())}.",
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
    return fleet.document.problem(key, "is derived, never said here.", remedy)


def _setting(
    fleet: Fleet, group: Developers, known: Release, key: Key, value: Any
) -> Iterator[Problem]:
    name = str(key[-1])
    derived = table("claude_derived")["settings"]
    if name in derived:
        yield _derived(fleet, key, derived[name])
    elif name not in known.settings:
        yield _unknown(fleet, group, known, key)
    elif name in HOPELESS:
        yield fleet.document.problem(key, *HOPELESS[name])
    elif known.managed_only(name) and group.scope != "managed":
        yield fleet.document.problem(
            key,
            "is read by the client in managed settings only.",
            "Write scope: managed, or remove it.",
            given=(("developers", group.name, "scope"),),
        )
    elif name == "env" and isinstance(value, dict):
        for variable, content in value.items():
            yield from _variable(fleet, group, known, (*key, variable), content)
    elif mistakes := list(known.mistakes(name, value)):
        for inner, mistake, fix in mistakes:
            yield fleet.document.problem((*key, *inner), mistake, fix)
    elif name == "allowedProviders" and "customEndpoint" not in _words(value):
        yield fleet.document.problem(
            key, "shuts out the gateway, which is a custom endpoint.", "Add customEndpoint."
        )


def _unknown(fleet: Fleet, group: Developers, known: Release, key: Key) -> Problem:
    name = str(key[-1])
    mistake, fix = (
        f"is no setting of Claude Code {group.version}",
        did_you_mean(name, known.settings),
    )
    if outer := known.around(name):
        mistake += f", but a key of '{outer}'"
        fix = table("claude_derived")["settings"].get(outer, f"Write settings: {{{outer}: …}}.")
    return fleet.document.problem(key, f"{mistake}.", fix)


def _variable(
    fleet: Fleet, group: Developers, known: Release, key: Key, value: Any
) -> Iterator[Problem]:
    name = str(key[-1])
    derived = table("claude_derived")["env"]
    if name in derived:
        yield _derived(fleet, key, derived[name])
    elif meant := known.meant(name):
        yield fleet.document.problem(
            key, f"is no variable of Claude Code {group.version}.", f"Did you mean '{meant}'?"
        )
    elif not isinstance(value, str):
        yield fleet.document.problem(key, "must be text.", "Quote it.")
    elif known.foreign(name):
        yield fleet.document.warning(
            key,
            f"is no variable of Claude Code {group.version}: only what the client starts reads it.",
            "Remove it, unless a hook or a tool of yours reads it.",
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


def _words(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


SECRET = re.compile(r"(token|secret|password|authorization|api[_-]?key)$", re.IGNORECASE)
LOOKS_SECRET = re.compile(r"^(Bearer |sk-|ghp_|github_pat_|xox[a-z]-|AKIA)|:[^/@\s]+@")
REFERENCE = re.compile(r"^((Bearer|Basic|Token) )?\$")
"""What a hook's headers say instead of a secret: a variable of the developer's own shell."""

HEADER = re.compile(r"\s*([^\s:=,]+)\s*[:=]\s*([^\n,]*)")
IN_HEADERS = re.compile(
    r"key|token|secret|auth|cookie|password|credential|honeycomb", re.IGNORECASE
)
"""Names of headers by which servers know who asks; Honeycomb calls its key x-honeycomb-team."""


def _secrets(fleet: Fleet, key: Key, value: Any) -> Iterator[Problem]:
    """Find literal secrets, however deep; their values are not told."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _secrets(fleet, (*key, name), each)
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _secrets(fleet, (*key, at), each)
    elif isinstance(value, str) and value and not REFERENCE.match(value):
        yield from _secret(fleet, key, value)


def _secret(fleet: Fleet, key: Key, value: str) -> Iterator[Problem]:
    name = str(key[-1])
    if name in table("claude_derived")["env"]:
        return
    headers = HEADER.findall(value) if name.endswith("_HEADERS") else []
    opening = [header for header, said in headers if _opens(header, said)]
    if opening:
        yield fleet.document.problem(
            key,
            f"holds a secret in the header '{opening[0]}', in a file that many read.",
            "Remove it: the gateway knows a developer by the key."
            if name == "ANTHROPIC_CUSTOM_HEADERS"
            else "Write settings: {otelHeadersHelper: COMMAND}, which prints the headers.",
        )
    elif SECRET.search(name) or LOOKS_SECRET.search(value):
        yield fleet.document.problem(
            key,
            "holds a secret, in a file that many read.",
            "Let a helper of the client fetch it, such as otelHeadersHelper.",
        )


def _opens(header: str, said: str) -> bool:
    return bool(said) and bool(IN_HEADERS.search(header) or LOOKS_SECRET.search(said))


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
