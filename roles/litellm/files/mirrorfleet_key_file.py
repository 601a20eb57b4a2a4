"""The keys of a gateway, as it reads them from $MIRRORFLEET_KEYS.

The directory holds SHA-256 hashes of keys. It belongs to no generation: adding or revoking a key
needs no restart, and a rollback restores no revoked key. `keys.json` is

    {"version": 2, "routes": ["/anthropic/v1/messages"], "keys": [
    {"name": "ada", "group": "team", "role": "developer", "models": ["coder"],
     "expires": "2027-04-01T00:00:00+00:00", "sha256": "9f…"}]}

`role` is developer or admin. Without `models` a key may use every model; without `expires` it never
expires. `routes` are paths that a key without `models` may use besides those of Claude Code.
`former.json` has the same form. It holds rotated keys while machines may still use them, and each
of them expires.

Each request checks both files (two stat calls) and reads a changed one again. So a change reaches
every worker at once, without a restart.

When keys.json is missing or broken, every key but the master key gets 503: the fault is the
gateway's, not the key's, and a client tries again. The last valid version is not kept, on purpose:
a recycled worker would not have it, so a revoked key would work on some workers only.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

log = logging.getLogger("LiteLLM Proxy")  # LiteLLM's own: the same level and JSON format

ROLES = ("developer", "admin")


class Key(NamedTuple):
    """The name and the rights of a key's holder."""

    name: str
    role: str
    group: str = ""
    models: tuple[str, ...] = ()  # () is every model, as in LiteLLM
    expires: float | None = None  # seconds since 1970


class Keys(NamedTuple):
    """The keys of a file by hash, and the additional paths that they may use."""

    by_hash: dict[str, Key]
    routes: frozenset[str] = frozenset()


class Refused(Exception):
    """A refused request: HTTP status, error type ("": that of the status), further headers."""

    def __init__(
        self, code: int, message: str, kind: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.kind = kind
        self.headers = headers or {}


def parse(text: str) -> Keys:
    """Parse keys.json. Raises ``ValueError`` with the place of anything unexpected.

    An unknown field is an error as well: a newer writer may mean it as a restriction.
    """
    data = json.loads(text)
    if not isinstance(data, dict) or data.get("version") != 2:
        raise ValueError("expected an object with version 2")
    if set(data) - {"routes"} != {"version", "keys"} or not isinstance(data["keys"], list):
        raise ValueError("expected version, routes and a list of keys, nothing else")
    routes = data.get("routes", [])
    if not isinstance(routes, list) or not all(isinstance(r, str) and r[:1] == "/" for r in routes):
        raise ValueError("routes must be a list of paths")
    keys: dict[str, Key] = {}
    for number, entry in enumerate(data["keys"], start=1):
        sha256, key = _parse_entry(f"key {number}", entry)
        if sha256 in keys:
            raise ValueError(f"key {number}: the same key again, under {key.name!r}")
        keys[sha256] = key
    return Keys(keys, frozenset(routes))


def parse_former(text: str) -> Keys:
    """Parse former.json. Raises ``ValueError`` also if one of its keys does not expire."""
    former = parse(text)
    for key in former.by_hash.values():
        if key.expires is None:
            raise ValueError(f"the former key of {key.name!r} does not expire")
    return former


FIELDS = {"sha256", "name", "role", "group", "models", "expires"}


def _parse_entry(where: str, entry: Any) -> tuple[str, Key]:
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: expected an object")
    if unknown := set(entry) - FIELDS:
        raise ValueError(f"{where}: unknown field {sorted(unknown)[0]!r}")
    sha256, name, role = (entry.get(field) for field in ("sha256", "name", "role"))
    if not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError(f"{where}: sha256 must be 64 lower-case hex digits")
    if not isinstance(name, str) or not name:
        raise ValueError(f"{where}: name must be a text")
    where = f"{where} ({name})"
    if role not in ROLES:
        raise ValueError(f"{where}: role must be one of {', '.join(ROLES)}")
    group = entry.get("group", "")
    if not isinstance(group, str):
        raise ValueError(f"{where}: group must be a text")
    models = entry.get("models")
    if "models" in entry and not (
        isinstance(models, list) and models and all(isinstance(m, str) and m for m in models)
    ):
        # An empty list would mean "none" to its writer and "all" to LiteLLM.
        raise ValueError(f"{where}: models must be a list of names, or be left out")
    expires = _timestamp(where, entry["expires"]) if "expires" in entry else None
    return sha256, Key(name, role, group, tuple(models or ()), expires)


def _timestamp(where: str, text: Any) -> float:
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        time = None
    if time is None or time.tzinfo is None:
        # A time without its offset would differ between gateways.
        raise ValueError(f"{where}: expires must be a time like 2027-04-01T00:00:00+00:00")
    return time.timestamp()


class KeyFile:
    """A file of keys, read again after each change."""

    def __init__(self, path: Path, read: Callable[[str], Keys]) -> None:
        self.path = path
        self._parse = read
        self._version: object = None
        self._keys: Keys | None = None

    def keys(self) -> Keys | None:
        """Return the keys that are valid now; None while there is no usable file."""
        try:
            stat = self.path.stat()
            version = (stat.st_mtime_ns, stat.st_ino, stat.st_dev, stat.st_size)
            if version != self._version:
                self._keys = self._version = None
                text = self.path.read_text(encoding="utf-8")
                self._version = version  # a broken file is parsed once, an unreadable one retried
                self._keys = self._parse(text)
        except OSError as error:
            self._keys = self._version = None
            self._log(error)
        except (ValueError, RecursionError) as error:
            self._log(error)
        return self._keys

    def _log(self, error: Exception) -> None:
        log.error("mirrorfleet: none of these keys is valid: %s: %s", self.path, error)


class KeyRing:
    """The keys of a gateway: the current ones, and for a while the former ones."""

    def __init__(self, directory: Path) -> None:
        self._current = KeyFile(directory / "keys.json", parse)
        self._former = KeyFile(directory / "former.json", parse_former)

    def is_readable(self) -> bool:
        """Return whether the keys can be used; otherwise a new generation is not accepted."""
        return self._current.keys() is not None

    def find(self, sha256: str) -> tuple[Key | None, frozenset[str]]:
        """Return the key with a hash, and the additional paths. Raises ``Refused``."""
        current = self._current.keys()
        if current is None:
            raise Refused(503, "This gateway can't read its keys; its log says why.")
        key = current.by_hash.get(sha256)
        if key is None and (former := self._former.keys()):
            key = former.by_hash.get(sha256)
        return key, current.routes
