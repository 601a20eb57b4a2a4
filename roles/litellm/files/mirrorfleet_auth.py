"""Decide who may use this gateway: LiteLLM's `custom_auth` hook, deployed beside config.yaml.

A developer's key gives access only to the paths that Claude Code uses, and to those that its group
has for other clients and for MCP servers (mirrorfleet_clients.py). With a custom_auth hook, LiteLLM
checks no role itself: any key could list the addresses of the engines, send a request to
every model (/health), or spend the gateway's provider keys through the passthrough routes, without
the limits of `models` and of budgets. `mirrorfleet_requests` calls this module as well, before
LiteLLM receives the request.

If the gateway has a database, a key that is not in the key files may be one of LiteLLM's virtual
keys. LiteLLM then applies all its rules for them: budgets, limits and roles.

Only `authenticate` and the functions below it use LiteLLM; the rest is plain Python.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import Request
    from litellm.proxy._types import LiteLLM_ObjectPermissionTable, UserAPIKeyAuth

    from mirrorfleet.roles.litellm.files.mirrorfleet_clients import clients
    from mirrorfleet.roles.litellm.files.mirrorfleet_key_file import Key, KeyRing, Refused
else:
    from mirrorfleet_clients import clients
    from mirrorfleet_key_file import Key, KeyRing, Refused

log = logging.getLogger("LiteLLM Proxy")  # LiteLLM's own: the same level and JSON format

DEVELOPER_ROUTES = frozenset(
    {"/v1/messages", "/v1/messages/count_tokens", "/v1/models", "/mirrorfleet/usage"}
)


class Unknown(Refused):
    """A key that is not in the key files."""


NO_DATABASE = Refused(
    503, "This gateway can't reach its database, which may know this API key. Try again later."
)


def digest(key: str) -> str:
    """Return the hash of a key. Keys are long and random, so it needs no salt."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def decide(presented: str | None, path: str, ring: KeyRing, master: str | None) -> Key:
    """Return the key that was presented if it may use this path. Raises ``Refused``."""
    if not presented:
        raise Refused(401, "No API key: set ANTHROPIC_AUTH_TOKEN to the key of this gateway.")
    sha256 = digest(presented)
    if master and hmac.compare_digest(sha256, digest(master)):
        return Key("master", "admin")
    # A plain dictionary lookup: its duration can reveal parts of the hash, but not of the key.
    key, routes = ring.find(sha256)
    if key is None:
        raise Unknown(401, "This gateway doesn't know this API key: it is wrong, or was revoked.")
    if key.expires is not None and key.expires <= time.time():
        raise Refused(401, f"The API key of {key.name} has expired. Ask for another one.")
    if key.role != "admin" and path not in DEVELOPER_ROUTES and not clients.opens(key.group, path):
        if path not in routes:
            raise Refused(403, f"A developer's key doesn't open {path} on this gateway.")
        if key.models:
            # A provider's models have other names than those of the fleet.
            raise Refused(
                403, f"The API key of {key.name} is for certain models: use /v1/messages."
            )
    return key


DERIVED = "sk-mf-"
"""The prefix of keys that are derived from the fleet's root key."""

KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    503: "api_error",
}
"""The error type of Anthropic's API by status; any other is an invalid_request_error."""

ring = KeyRing(Path(os.environ["MIRRORFLEET_KEYS"]))


async def authenticate(request: Request, api_key: str) -> UserAPIKeyAuth:
    """Return the holder of a key for LiteLLM (`general_settings.custom_auth`)."""
    from litellm.proxy import proxy_server
    from litellm.proxy._types import LitellmUserRoles, ProxyException, UserAPIKeyAuth

    # The path that LiteLLM routes by; request.url also depends on the client's Host header.
    path = request.scope["path"]
    try:
        key = decide(api_key, path, ring, proxy_server.master_key)
    except Refused as refused:
        if isinstance(refused, Unknown) and may_be_virtual(api_key):
            if proxy_server.prisma_client is not None:
                return await _authorize_virtual_key(request, api_key)
            refused = NO_DATABASE
        # Any other exception reaches the client as a 500, which it retries again and again.
        kind = KINDS[refused.code]
        raise ProxyException(str(refused), type=kind, param=None, code=refused.code) from None
    admin = key.role == "admin"
    auth = UserAPIKeyAuth(
        api_key=digest(api_key),  # LiteLLM writes it to metrics and logs: never the key itself
        key_alias=key.name,
        user_id=key.name,
        team_id=key.group or None,
        team_alias=key.group or None,
        user_role=LitellmUserRoles.PROXY_ADMIN if admin else LitellmUserRoles.INTERNAL_USER,
        models=list(key.models),
        object_permission=None if admin else _permission(key),
    )
    if key.models:
        await _check_model(request, path, auth)
    return auth


def _permission(key: Key) -> LiteLLM_ObjectPermissionTable:
    """Return LiteLLM's permission for the MCP servers of a key's group, and for no others."""
    from litellm.proxy._types import LiteLLM_ObjectPermissionTable, SpecialMCPServerNames

    servers = clients.mcp_servers(key.group) or [SpecialMCPServerNames.no_mcp_servers.value]
    return LiteLLM_ObjectPermissionTable(
        object_permission_id=f"mirrorfleet-{key.group}", mcp_servers=servers
    )


def may_be_virtual(key: str) -> bool:
    """Return whether LiteLLM's database may know a key; it knows no derived one."""
    return "DATABASE_URL" in os.environ and key.startswith("sk-") and not key.startswith(DERIVED)


async def is_virtual(key: str) -> bool:
    """Return whether LiteLLM's database knows a key. Raises ``Refused`` without an answer."""
    from litellm.proxy import proxy_server
    from litellm.proxy.auth.resolvers.exceptions import KeyNotFoundError
    from litellm.proxy.auth.resolvers.store import IdentityStore

    store = IdentityStore(proxy_server.prisma_client, proxy_server.user_api_key_cache)
    try:
        await store.resolve(hashed_token=digest(key))
    except KeyNotFoundError:
        return False
    except Exception as error:  # its text may hold the URL of the database
        log.error("mirrorfleet: a key cannot be looked up (%s)", type(error).__name__)
        raise NO_DATABASE from None
    return True


async def _authorize_virtual_key(request: Request, api_key: str) -> UserAPIKeyAuth:
    """Have LiteLLM authorize a virtual key by all of its rules.

    LiteLLM would apply only some of them to a key that this hook returns: with a custom_auth hook,
    it skips the budgets of teams and users, and the roles for its administration.
    """
    from litellm.proxy.auth.user_api_key_auth import authorize_internal_virtual_key
    from litellm.proxy.common_utils.http_parsing_utils import read_request_body

    body = await read_request_body(request)
    return await authorize_internal_virtual_key(digest(api_key), request, body)


async def _check_model(request: Request, path: str, auth: UserAPIKeyAuth) -> None:
    """Have LiteLLM limit a request to the key's models, which it does for virtual keys only.

    LiteLLM's check knows aliases, and the fallbacks that a request may name. Two settings could
    switch it on instead. They would slow down every request, and a misspelt or renamed setting
    would allow everything; a missing function refuses.
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
