"""Secrets, read on the controller when they are needed, and never stored in host data."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator, Set
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from gevent.lock import Semaphore
from pyinfra.api.exceptions import DeployError

from mirrorfleet.config import Secret, reading
from mirrorfleet.config.key_derivation import DerivedKey, Key, weakness

LARGEST = 1024**2
"""Maximum bytes of a secret. A private key with its certificates has some thousands."""

_one_at_a_time = Semaphore()
"""Hosts are prepared in parallel, but a command that unlocks a vault must prompt only once."""

_revealed: set[str] = set()


class Guessable(DeployError):
    """A secret is too weak to derive keys from it."""


def reveal(secret: Key) -> str:
    """Return the value of a reference, without the line break at its end, or a derived key.

    Raises ``DeployError`` when the secret is missing, or too weak to derive keys from it. The
    message has the reference, never a value.
    """
    with _one_at_a_time:
        if _references is not None:
            _references.add(str(secret))
            return str(secret)
        value = _reveal(secret.root if isinstance(secret, DerivedKey) else secret)
        _revealed.add(value)
        if isinstance(secret, DerivedKey):
            if reason := weakness(value):
                raise Guessable(
                    f"keys cannot be derived from {secret.root}: it {reason}. "
                    "Create a random one, for example with: openssl rand -hex 32."
                )
            value = secret.value(value)
            _revealed.add(value)
        return value


def reveal_text(secret: Secret) -> str:
    """Return a secret of several lines, such as a private key in PEM format, as it is.

    Raises ``DeployError`` when the secret is missing. The message has the reference, never a value.
    """
    with _one_at_a_time:
        if _references is not None:
            _references.add(str(secret))
            return str(secret)
        value = _reveal_text(secret)
        _revealed.update(line for line in value.splitlines() if len(line) > 15)
        return value


_references: set[str] | None = None


@contextmanager
def references_only() -> Iterator[Set[str]]:
    """Within the block, use references as values. Yields the set of references that were used."""
    global _references
    references: set[str] = set()
    _references = references
    try:
        yield references
    finally:
        _references = None


def revealed() -> Set[str]:
    """Return the values that this run has read, so that output can hide them."""
    return _revealed


@cache
def _reveal(secret: Secret) -> str:
    value = _one_line(_read(secret).strip())
    if not value:
        raise DeployError(f"the secret {secret} is empty: set a value.")
    if not value.isprintable():
        raise DeployError(
            f"the secret {secret} has a line break or another control character. Remove it."
        )
    return value


@cache
def _reveal_text(secret: Secret) -> str:
    value = _read(secret).strip()
    if not value:
        raise DeployError(f"the secret {secret} is empty: set a value.")
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
                text = reading.text(path, LARGEST)
                if fix := exposure(path):
                    raise DeployError(f"the secret {secret} is refused: {fix}")
                return text
            except reading.Unreadable as error:
                remedy = f"Write {{command: cat {secret.value}}}." if error.endless else ""
                reason = f"{error.mistake} {remedy}".rstrip()
            except RuntimeError as error:  # the home directory of an unknown user
                reason = str(error)
            raise DeployError(f"the secret {secret} is missing: {reason}")
        case "command":
            return _run(secret)


def exposure(path: Path) -> str:
    """Return why other users of this machine can read a file, and the fix; "" if they cannot.

    A directory that they cannot enter protects the files in it.
    """
    try:
        file = path.resolve()
        if not file.stat().st_mode & 0o004:
            return ""
        if not all(directory.stat().st_mode & 0o001 for directory in file.parents):
            return ""
    except OSError:  # this user cannot look: others cannot either
        return ""
    return f"other users of this machine can read it. Run: chmod 600 {shlex.quote(str(path))}"


def _run(secret: Secret) -> str:
    with subprocess.Popen(
        secret.value, shell=True, cwd=secret.directory, stdout=subprocess.PIPE
    ) as running:
        if running.stdout is None:
            raise DeployError(f"the secret {secret} is missing: the command has no output.")
        found = running.stdout.read(LARGEST + 1)
        if len(found) > LARGEST:
            running.kill()
            reason = f"the command printed more than {LARGEST // 1024**2} MiB"
            raise DeployError(f"the secret {secret} is missing: {reason}.")
        code = running.wait()
    if code:
        raise DeployError(
            f"the secret {secret} is missing: the command failed with exit code {code}."
        )
    try:
        return found.decode("utf-8")
    except UnicodeDecodeError:
        raise DeployError(f"the secret {secret} is not text.") from None
