"""Who may use this gateway: LiteLLM's `custom_auth` hook, deployed beside config.yaml.

The keys' SHA-256 hashes stand in the folder $MIRRORFLEET_KEYS, which no generation holds: a key
that is added or revoked needs no restart, and going back a generation revives none. `keys.json` is

    {"version": 2, "routes": ["/anthropic/v1/messages"], "keys": [
    {"name": "ada", "group": "team", "role": "developer", "models": ["coder"],
     "expires": "2027-04-01T00:00:00+00:00", "sha256": "9f…"}]}

`role` is developer or admin. Without `models` a key may use every model, without `expires` it
counts for ever. `routes` are paths that a key without `models` opens beside Claude Code's own.
`former.json` is the same of keys that were rotated, while machines may still have them; there, each
one expires.

Both are looked at on every request (two stats) and read again when they changed, so that a key
added or revoked counts in every worker at once, without a restart.

When keys.json is missing or broken everybody but the master key is refused, with 503: it is the
gateway that is wrong, not the key, and a client tries again. The last good version is not kept
on purpose: a worker recycled meanwhile could not have it, and a revoked key would then work or
not by which worker answers.

A developer's key opens only what Claude Code asks for. With a custom_auth hook LiteLLM checks no
role of its own: any key could list the engines' addresses, have every model called (/health), or
spend the gateway's provider keys through the passthrough routes, past `models` and past budgets.
`mirrorfleet_requests` asks here as well, before LiteLLM sees the request.

Where the gateway has a database, a key that is not in these files may be one of LiteLLM's own: it
is held to all that LiteLLM holds them to, budgets, limits and roles.

Only `authenticate` touches LiteLLM; the rest is plain Python and is tested without it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import re
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import Request
    from litellm.proxy._types import UserAPIKeyAuth

log = logging.getLogger("LiteLLM Proxy")  # LiteLLM's own, so that level and JSON format are its

ROLES = ("developer", "admin")

DEVELOPER_ROUTES = frozenset({"/v1/messages", "/v1/messages/count_tokens", "/v1/models"})


# NamedTuples, not dataclasses: LiteLLM executes this file without entering it in sys.modules,
# where the dataclass decorator would look for it.
class Key(NamedTuple):
    """What a key's holder is called and may do, and until when, in seconds since 1970."""

    name: str
    role: str
    group: str = ""
    models: tuple[str, ...] = ()  # () is every model, as LiteLLM counts it
    expires: float | None = None


class Keys(NamedTuple):
    """The keys of a file, by hash, and the paths that each of them opens."""

    by_hash: dict[str, Key]
    routes: frozenset[str] = frozenset()


class Refused(Exception):
    """No entry, and the status code to say it with."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Unknown(Refused):
    """The key is none of ours."""


AWAY = Refused(503, "This gateway's database is away, and may know this API key. Try again later.")


def digest(key: str) -> str:
    """Return the hash a key goes by: keys are long and random, so it needs no salt."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def parse(text: str) -> Keys:
    """Read keys.json; anything unexpected is a ValueError that says where.

    Also a field that is not known here: it might be a restriction that a newer writer meant.
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
    """Read former.json: each of its keys expires."""
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
    expires = _instant(where, entry["expires"]) if "expires" in entry else None
    return sha256, Key(name, role, group, tuple(models or ()), expires)


def _instant(where: str, said: Any) -> float:
    try:
        instant = datetime.fromisoformat(said)
    except (TypeError, ValueError):
        instant = None
    if instant is None or instant.tzinfo is None:
        # Without its offset, a time would be another one on each gateway.
        raise ValueError(f"{where}: expires must be a time like 2027-04-01T00:00:00+00:00")
    return instant.timestamp()


class KeyFile:
    """A file of keys, read again whenever it is another file than last time."""

    def __init__(self, path: Path, read: Callable[[str], Keys]) -> None:
        self.path = path
        self._parse = read
        self._seen: object = None
        self._keys: Keys | None = None

    def keys(self) -> Keys | None:
        """Return the keys that count now; None while there is no file that can be used."""
        try:
            stat = self.path.stat()
            seen = (stat.st_mtime_ns, stat.st_ino, stat.st_dev, stat.st_size)
            if seen != self._seen:
                self._keys = self._seen = None
                text = self.path.read_text(encoding="utf-8")
                self._seen = seen  # a file that is wrong is read once, one that can't be read again
                self._keys = self._parse(text)
        except OSError as error:
            self._keys = self._seen = None
            self._complain(error)
        except (ValueError, RecursionError) as error:
            self._complain(error)
        return self._keys

    def _complain(self, error: Exception) -> None:
        log.error("mirrorfleet: none of these keys counts: %s: %s", self.path, error)


class KeyRing:
    """The keys of a gateway: those that are wanted, and those that were, for a while."""

    def __init__(self, directory: Path) -> None:
        self._wanted = KeyFile(directory / "keys.json", parse)
        self._former = KeyFile(directory / "former.json", parse_former)

    def readable(self) -> bool:
        """Can the keys be used? A new generation is not accepted before that."""
        return self._wanted.keys() is not None

    def find(self, sha256: str) -> tuple[Key | None, frozenset[str]]:
        """Return the key of a hash, and the paths that it opens. Raises Refused without a file."""
        wanted = self._wanted.keys()
        if wanted is None:
            raise Refused(503, "This gateway can't read its keys; its log says why.")
        key = wanted.by_hash.get(sha256)
        if key is None and (former := self._former.keys()):
            key = former.by_hash.get(sha256)
        return key, wanted.routes


def decide(presented: str | None, path: str, ring: KeyRing, master: str | None) -> Key:
    """Return the holder of the presented key if it may ask for this path, or raise Refused."""
    if not presented:
        raise Refused(401, "No API key: set ANTHROPIC_AUTH_TOKEN to the key of this gateway.")
    sha256 = digest(presented)
    if master and hmac.compare_digest(sha256, digest(master)):
        return Key("master", "admin")
    # A plain look-up: how long it takes tells something of the hash at most, never of the key.
    key, routes = ring.find(sha256)
    if key is None:
        raise Unknown(401, "This gateway doesn't know this API key: it is wrong, or was revoked.")
    if key.expires is not None and key.expires <= time.time():
        raise Refused(401, f"The API key of {key.name} has expired. Ask for another one.")
    if key.role != "admin" and path not in DEVELOPER_ROUTES:
        if path not in routes:
            raise Refused(403, f"A developer's key doesn't open {path} on this gateway.")
        if key.models:
            # The names of a provider's models are not those of the fleet.
            raise Refused(
                403, f"The API key of {key.name} is for certain models: use /v1/messages."
            )
    return key


OURS = "sk-mf-"
"""How a key begins that is derived from the fleet's root."""

KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    503: "api_error",
}
"""What Anthropic's API calls an error of a status; else it is an invalid_request_error."""

ring = KeyRing(Path(os.environ["MIRRORFLEET_KEYS"]))


async def authenticate(request: Request, api_key: str) -> UserAPIKeyAuth:
    """Answer LiteLLM's question who sent this request (`general_settings.custom_auth`)."""
    from litellm.proxy import proxy_server
    from litellm.proxy._types import LitellmUserRoles, ProxyException, UserAPIKeyAuth

    # The path that is routed by; request.url is put together with the client's Host header.
    path = request.scope["path"]
    try:
        key = decide(api_key, path, ring, proxy_server.master_key)
    except Refused as refused:
        if isinstance(refused, Unknown) and may_be_litellms(api_key):
            if proxy_server.prisma_client is not None:
                return await _as_litellms(request, api_key)
            refused = AWAY
        # Any other exception would reach the client as a 500, which it tries again and again.
        kind = KINDS[refused.code]
        raise ProxyException(str(refused), type=kind, param=None, code=refused.code) from None
    admin = key.role == "admin"
    auth = UserAPIKeyAuth(
        api_key=digest(api_key),  # LiteLLM keeps it in metrics and logs: never the key itself
        key_alias=key.name,
        user_id=key.name,
        team_id=key.group or None,
        team_alias=key.group or None,
        user_role=LitellmUserRoles.PROXY_ADMIN if admin else LitellmUserRoles.INTERNAL_USER,
        models=list(key.models),
    )
    if key.models:
        await _check_model(request, path, auth)
    return auth


def may_be_litellms(key: str) -> bool:
    """Is there a database that may know the key? It knows none that was derived for a developer."""
    return "DATABASE_URL" in os.environ and key.startswith("sk-") and not key.startswith(OURS)


async def is_litellms(key: str) -> bool:
    """Does LiteLLM's database know the key? Raises Refused where it cannot be asked."""
    from litellm.proxy import proxy_server
    from litellm.proxy.auth.resolvers.exceptions import KeyNotFoundError
    from litellm.proxy.auth.resolvers.store import IdentityStore

    store = IdentityStore(proxy_server.prisma_client, proxy_server.user_api_key_cache)
    try:
        await store.resolve(hashed_token=digest(key))
    except KeyNotFoundError:
        return False
    except Exception as error:  # whose text may hold the URL of the database
        log.error("mirrorfleet: a key cannot be looked up (%s)", type(error).__name__)
        raise AWAY from None
    return True


async def _as_litellms(request: Request, api_key: str) -> UserAPIKeyAuth:
    """Have LiteLLM judge a key of its own, by all of its rules.

    Left to LiteLLM by giving the key back, it would be judged by some of them only: with a
    custom_auth hook, budgets of teams and users and the roles that open its administration are
    passed over.
    """
    from litellm.proxy.auth.user_api_key_auth import authorize_internal_virtual_key
    from litellm.proxy.common_utils.http_parsing_utils import read_request_body

    body = await read_request_body(request)
    return await authorize_internal_virtual_key(digest(api_key), request, body)


async def _check_model(request: Request, path: str, auth: UserAPIKeyAuth) -> None:
    """Have LiteLLM hold the request to the key's models: it does so for keys of its own only.

    Its own check knows aliases, and the fallbacks that a request may name. It is called here
    rather than switched on by two settings, which would cost every request and, misspelt or
    renamed, would let everything pass: a function that is gone refuses.
    """
    from litellm.proxy import proxy_server
    from litellm.proxy.auth.user_api_key_auth import enforce_key_and_fallback_model_access
    from litellm.proxy.common_utils.http_parsing_utils import read_request_body

    await enforce_key_and_fallback_model_access(
        valid_token=auth,
        request_data=await read_request_body(request),
        route=path,
        request=request,
        llm_model_list=proxy_server.llm_model_list,
        llm_router=proxy_server.llm_router,
    )
