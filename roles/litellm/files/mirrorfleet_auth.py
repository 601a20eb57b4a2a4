"""Who may use this gateway: LiteLLM's `custom_auth` hook, deployed beside config.yaml.

The keys' SHA-256 hashes stand in `keys.json` in the same folder (or a link to it):

    {"version": 1, "keys": [{"sha256": "9f…", "name": "ada", "role": "developer",
                             "models": ["coder"], "routes": ["/anthropic/v1/messages"]}]}

`role` is developer or admin; without `models` a key may use every model, and `routes` are paths
that it opens beside those that every developer's key does. The file is looked at
on every request (one stat) and read again when it changed, so that a key added or revoked counts
in every worker at once, without a restart.

When the file is missing or broken everybody but the master key is refused, with 503: it is the
gateway that is wrong, not the key, and a client tries again. The last good version is not kept
on purpose: a worker recycled meanwhile could not have it, and a revoked key would then work or
not by which worker answers.

A developer's key opens only what Claude Code asks for. With a custom_auth hook LiteLLM checks no
role of its own: any key could list the engines' addresses, have every model called (/health), or
spend the gateway's provider keys through the passthrough routes, past `models` and past budgets.

Only `authenticate` touches LiteLLM; the rest is plain Python and is tested without it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from fastapi import Request
    from litellm.proxy._types import UserAPIKeyAuth

log = logging.getLogger("LiteLLM Proxy")  # LiteLLM's own, so that level and JSON format are its

ROLES = ("developer", "admin")

DEVELOPER_ROUTES = frozenset({"/v1/messages", "/v1/messages/count_tokens", "/v1/models"})


# NamedTuples, not dataclasses: LiteLLM executes this file without entering it in sys.modules,
# where the dataclass decorator would look for it.
class Key(NamedTuple):
    """What a key's holder is called and may do."""

    name: str
    role: str
    models: tuple[str, ...] = ()  # () is every model, as LiteLLM counts it
    routes: tuple[str, ...] = ()


class Refused(Exception):
    """No entry, and the status code to say it with."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def digest(key: str) -> str:
    """Return the hash a key goes by: keys are long and random, so it needs no salt."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def parse(text: str) -> dict[str, Key]:
    """Read keys.json; anything unexpected is a ValueError that says where.

    Also a field that is not known here: it might be a restriction that a newer writer meant.
    """
    data = json.loads(text)
    if not isinstance(data, dict) or data.get("version") != 1:
        raise ValueError("expected an object with version 1")
    if set(data) != {"version", "keys"} or not isinstance(data["keys"], list):
        raise ValueError("expected version and a list of keys, nothing else")
    keys: dict[str, Key] = {}
    for number, entry in enumerate(data["keys"], start=1):
        sha256, key = _parse_entry(f"key {number}", entry)
        if sha256 in keys:
            raise ValueError(f"key {number}: the same key again, under {key.name!r}")
        keys[sha256] = key
    return keys


def _parse_entry(where: str, entry: Any) -> tuple[str, Key]:
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: expected an object")
    if unknown := set(entry) - {"sha256", "name", "role", "models", "routes"}:
        raise ValueError(f"{where}: unknown field {sorted(unknown)[0]!r}")
    sha256, name, role = (entry.get(field) for field in ("sha256", "name", "role"))
    if not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError(f"{where}: sha256 must be 64 lower-case hex digits")
    if not isinstance(name, str) or not name:
        raise ValueError(f"{where}: name must be a text")
    if role not in ROLES:
        raise ValueError(f"{where} ({name}): role must be one of {', '.join(ROLES)}")
    models = entry.get("models")
    if "models" in entry and not (
        isinstance(models, list) and models and all(isinstance(m, str) and m for m in models)
    ):
        # An empty list would mean "none" to its writer and "all" to LiteLLM.
        raise ValueError(f"{where} ({name}): models must be a list of names, or be left out")
    routes = entry.get("routes", [])
    if not isinstance(routes, list) or not all(isinstance(r, str) and r[:1] == "/" for r in routes):
        raise ValueError(f"{where} ({name}): routes must be a list of paths")
    return sha256, Key(name, role, tuple(models or ()), tuple(routes))


class KeyFile:
    """keys.json, read again whenever it is another file than last time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: object = None
        self._keys: dict[str, Key] | None = None

    def keys(self) -> dict[str, Key] | None:
        """Return the keys that count now, by hash; None while the file can't be used."""
        try:
            stat = self.path.stat()
            seen = (stat.st_mtime_ns, stat.st_ino, stat.st_dev, stat.st_size)
            if seen != self._seen:
                self._keys = self._seen = None
                text = self.path.read_text(encoding="utf-8")
                self._seen = seen  # a file that is wrong is read once, one that can't be read again
                self._keys = parse(text)
        except OSError as error:
            self._keys = self._seen = None
            self._complain(error)
        except (ValueError, RecursionError) as error:
            self._complain(error)
        return self._keys

    def _complain(self, error: Exception) -> None:
        log.error("mirrorfleet: nobody can be let in: %s: %s", self.path, error)


def decide(
    presented: str | None, path: str, keys: dict[str, Key] | None, master: str | None
) -> Key:
    """Return the holder of the presented key if it may ask for this path, or raise Refused."""
    if not presented:
        raise Refused(401, "No API key: set ANTHROPIC_AUTH_TOKEN to the key of this gateway.")
    if master and hmac.compare_digest(digest(presented), digest(master)):
        return Key("master", "admin")
    if keys is None:
        raise Refused(503, "This gateway can't read its keys; its log says why.")
    # A plain look-up: how long it takes tells something of the hash at most, never of the key.
    key = keys.get(digest(presented))
    if key is None:
        raise Refused(401, "This gateway doesn't know this API key: it is wrong, or was revoked.")
    if key.role != "admin" and path not in DEVELOPER_ROUTES and path not in key.routes:
        raise Refused(403, f"A developer's key doesn't open {path} on this gateway.")
    return key


KINDS = {401: "authentication_error", 403: "permission_error", 503: "api_error"}

key_file = KeyFile(Path(__file__).with_name("keys.json"))


async def authenticate(request: Request, api_key: str) -> UserAPIKeyAuth:
    """Answer LiteLLM's question who sent this request (`general_settings.custom_auth`)."""
    from litellm.proxy import proxy_server
    from litellm.proxy._types import LitellmUserRoles, ProxyException, UserAPIKeyAuth

    # The path that is routed by; request.url is put together with the client's Host header.
    path = request.scope["path"]
    try:
        key = decide(api_key, path, key_file.keys(), proxy_server.master_key)
    except Refused as refused:
        # Any other exception would reach the client as a 500, which it tries again and again.
        kind = KINDS[refused.code]
        raise ProxyException(str(refused), type=kind, param=None, code=refused.code) from None
    admin = key.role == "admin"
    auth = UserAPIKeyAuth(
        api_key=digest(api_key),  # LiteLLM keeps it in metrics and logs: never the key itself
        key_alias=key.name,
        user_id=key.name,
        user_role=LitellmUserRoles.PROXY_ADMIN if admin else LitellmUserRoles.INTERNAL_USER,
        models=list(key.models),
    )
    if key.models:
        await _check_model(request, path, auth)
    return auth


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
