"""Secrets, fetched on the controller in the moment of need and never kept in host data."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Set
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock

from pyinfra.api.exceptions import DeployError

from mirrorfleet.config import Secret, reading
from mirrorfleet.config.key_derivation import DerivedKey, Key, weakness

LARGEST = 1024**2
"""Bytes of a secret: a private key with its certificates has some thousands."""

_one_at_a_time = Lock()
"""Hosts are prepared in parallel, and a command that unlocks a vault asks its person once."""

_revealed: set[str] = set()


class Guessable(DeployError):
    """Why nothing is derived from a secret that is there."""


def reveal(secret: Key) -> str:
    """Return the value behind a reference, without the line break at its end, or a derived key.

    Raises ``DeployError`` that names the reference, never a value, when there is none, or when
    keys would be derived from one that can be guessed.
    """
    with _one_at_a_time:
        if _asked is not None:
            _asked.add(str(secret))
            return str(secret)
        value = _reveal(secret.root if isinstance(secret, DerivedKey) else secret)
        _revealed.add(value)
        if isinstance(secret, DerivedKey):
            if why := weakness(value):
                raise Guessable(
                    f"keys cannot be derived from {secret.root}: it {why}. "
                    "Make a random one, for example with: openssl rand -hex 32."
                )
            value = secret.value(value)
            _revealed.add(value)
        return value


def reveal_text(secret: Secret) -> str:
    """Return a secret of several lines, such as a private key in PEM, as it is.

    Raises ``DeployError`` that names the reference, never a value, when there is none.
    """
    with _one_at_a_time:
        if _asked is not None:
            _asked.add(str(secret))
            return str(secret)
        value = _reveal_text(secret)
        _revealed.update(line for line in value.splitlines() if len(line) > 15)
        return value


_asked: set[str] | None = None


@contextmanager
def references_only() -> Iterator[Set[str]]:
    """Within the block, let each reference stand for itself. Yields those that were asked for."""
    global _asked
    asked: set[str] = set()
    _asked = asked
    try:
        yield asked
    finally:
        _asked = None


def revealed() -> Set[str]:
    """Return the values that this run has come to know, for hiding them."""
    return _revealed


@cache
def _reveal(secret: Secret) -> str:
    value = _one_line(_read(secret).strip())
    if not value:
        raise DeployError(f"the secret {secret} is empty. Put a value there.")
    if not value.isprintable():
        raise DeployError(
            f"the secret {secret} holds a line break or another control character. Remove it."
        )
    return value


@cache
def _reveal_text(secret: Secret) -> str:
    value = _read(secret).strip()
    if not value:
        raise DeployError(f"the secret {secret} is empty. Put a value there.")
    return value


def _one_line(value: str) -> str:
    """Put a JSON document, such as a service account's credentials, on one line."""
    try:
        return json.dumps(json.loads(value)) if value.startswith("{") else value
    except ValueError:
        return value


def _read(secret: Secret) -> str:
    match secret.source:
        case "env":
            if secret.value not in os.environ:
                raise DeployError(
                    f"the secret {secret} is missing: the variable is not set on this machine."
                )
            return os.environ[secret.value]
        case "file":
            try:
                path = secret.directory / Path(secret.value).expanduser()
                return reading.text(path, LARGEST)
            except reading.Unreadable as error:
                remedy = f"Write {{command: cat {secret.value}}}." if error.endless else ""
                why = f"{error.mistake} {remedy}".rstrip()
            except RuntimeError as error:  # a home directory that nobody has
                why = str(error)
            raise DeployError(f"the secret {secret} is missing: {why}")
        case "command":
            return _run(secret)


def _run(secret: Secret) -> str:
    with subprocess.Popen(
        secret.value, shell=True, cwd=secret.directory, stdout=subprocess.PIPE
    ) as running:
        if running.stdout is None:
            raise DeployError(f"lacks the secret {secret}: the command has no output to read.")
        found = running.stdout.read(LARGEST + 1)
        if len(found) > LARGEST:
            running.kill()
            why = f"the command printed more than {LARGEST // 1024**2} MiB"
            raise DeployError(f"the secret {secret} is missing: {why}.")
        code = running.wait()
    if code:
        raise DeployError(f"the secret {secret} is missing: the command ended with {code}.")
    try:
        return found.decode("utf-8")
    except UnicodeDecodeError:
        raise DeployError(f"the secret {secret} is not text.") from None
