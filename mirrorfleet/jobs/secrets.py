"""Read the secrets of a fleet file on the controller, and report those that cannot work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pyinfra.api.exceptions import DeployError

from mirrorfleet.config import Fleet, Secret
from mirrorfleet.config.key_derivation import weakness
from mirrorfleet.config.litellm import is_reference
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.roles.litellm.keys import SHORTEST
from mirrorfleet.runtime.secrets import reveal, reveal_text

RANDOM = "Create a random one, for example with: openssl rand -hex 32."


def problems(fleet: Fleet) -> Iterator[Problem]:
    """Yield each reference whose secret is missing, empty, too short or has several lines.

    Reads every secret, and runs every command of a reference once. No message has a value.
    """
    mistakes: dict[Secret, tuple[str, str] | None] = {}
    for key, secret in references(fleet):
        if secret not in mistakes:
            mistakes[secret] = _mistake(fleet, secret)
        if mistake := mistakes[secret]:
            yield fleet.document.problem(key, *mistake)


def references(fleet: Fleet) -> Iterator[tuple[Key, Secret]]:
    """Yield the references to secrets in a fleet file, by key, in file order."""
    known = set(_secrets([getattr(fleet, field.name) for field in fields(fleet)]))
    for key, value in _mappings(fleet.document.data, ()):
        if is_reference(value):
            [(source, text)] = value.items()
            secret = Secret(source, text, fleet.document.directory(key))
            if secret in known:
                yield key, secret


def _secrets(value: Any) -> Iterator[Secret]:
    """Yield the references in a value of the fleet, at any depth."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, Mapping):
        yield from _secrets([*value.values()])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _secrets(item)
    elif is_dataclass(value):
        yield from _secrets([getattr(value, field.name) for field in fields(value)])


def _mappings(value: Any, key: Key) -> Iterator[tuple[Key, dict[Any, Any]]]:
    """Yield the mappings of the document at any depth, each with its key."""
    if isinstance(value, dict):
        yield key, value
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in items:
        if isinstance(item, dict | list):
            yield from _mappings(item, (*key, name))


def _mistake(fleet: Fleet, secret: Secret) -> tuple[str, str] | None:
    """Return what is wrong with a secret, and the fix; ``None`` if it can work."""
    certificate_key = fleet.load_balancer and fleet.load_balancer.key
    try:
        # The private key of a certificate is a secret of several lines.
        value = reveal_text(secret) if secret == certificate_key else reveal(secret)
    except DeployError as error:
        is_unset = secret.source == "env" and "not set" in str(error)
        return str(error), f"Run: export {secret.value}=…" if is_unset else ""
    gateway = fleet.gateway
    if gateway and secret == gateway.master_key and len(value) < SHORTEST:
        fix = 'Create a random one, for example with: echo "sk-$(openssl rand -hex 32)".'
        return f"is {len(value)} characters long; the minimum is {SHORTEST}.", fix
    installed = gateway and gateway.database and gateway.database.password
    if secret in (fleet.keys.root, installed) and (weak := weakness(value)):
        return f"{weak}.", RANDOM
    return None
