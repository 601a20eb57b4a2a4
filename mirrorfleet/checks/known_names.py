"""Names that the gateways' release of LiteLLM knows, and those that Mirrorfleet sets itself."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import PROVIDERS, Deployment, Fleet
from mirrorfleet.config.problems import Key, Problem, did_you_mean

SECTIONS = ("litellm_settings", "router_settings", "general_settings")
"""Sections of LiteLLM's own settings."""


def known_names(fleet: Fleet, section: str) -> frozenset[str] | None:
    """Return the names that the gateways' release supports.

    ``None`` without a gateway, or if Mirrorfleet does not know the release: the check of releases
    reports that.
    """
    known = fleet.locks.names("litellm", fleet.gateway.version) if fleet.gateway else None
    return frozenset(known[section]) if known and section in known else None


def unknown_name(
    fleet: Fleet, key: Key, name: str, section: str, kind: str, *, listed: bool = True
) -> Iterator[Problem]:
    """Yield a problem if the release does not know a name of a ``kind``.

    ``listed``: the fix lists the known names if none is close and they are few.
    """
    known = known_names(fleet, section)
    if known is None or name in known or fleet.gateway is None:
        return
    elsewhere = (
        [other for other in SECTIONS if name in (known_names(fleet, other) or ())]
        if section in SECTIONS
        else []
    )
    yield fleet.document.problem(
        key,
        f"'{name}' is not a {kind} of this section."
        if elsewhere
        else f"'{name}' is not a {kind} of LiteLLM {fleet.gateway.version}.",
        f"Move it to gateway.extra.{elsewhere[0]}."
        if elsewhere
        else did_you_mean(name, known, listed=listed),
    )


def derived_here(deployment: Deployment) -> dict[str, str]:
    """Return LiteLLM's parameters that a deployment has a key for, with what to write instead."""
    where = ".".join(str(part) for part in deployment.key if isinstance(part, str))
    keys = {
        **{parameter: key for key, parameter in PROVIDERS[deployment.provider].parameters.items()},
        "model": "id",
        "custom_llm_provider": "prefix" if deployment.provider == "litellm" else "provider",
    }
    return {name: f"Write {where}.{key}." for name, key in keys.items()}
