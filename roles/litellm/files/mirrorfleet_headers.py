"""The headers and the query of a request: where its key is, and what passes to LiteLLM."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Scope

    from mirrorfleet.roles.litellm.files import mirrorfleet_allowlist as allowlist

    Header = tuple[bytes, bytes]
else:
    import mirrorfleet_allowlist as allowlist


def presented(headers: Iterable[Header]) -> str:
    """Return the key of a request, as LiteLLM finds it; "" if there is none."""
    found = {name: value.decode("latin-1") for name, value in reversed(list(headers))}
    for name in allowlist.CREDENTIALS:
        if value := found.get(name, "").strip():
            kind, _, token = value.partition(" ")
            return token.strip() if kind.lower() == "bearer" else value
    return ""


def without_key(headers: Iterable[Header]) -> list[Header]:
    """Return the headers without any that LiteLLM reads as a key."""
    return [header for header in headers if header[0] not in allowlist.CREDENTIALS]


def with_key(headers: Iterable[Header], key: str) -> list[Header]:
    """Return the headers with this key only."""
    return [*without_key(headers), (b"authorization", b"Bearer " + key.encode("latin-1"))]


def with_allowed_headers(scope: Scope, body: bytes | None = None) -> Scope:
    """Return a request with the allowed headers and query, and the headers of a new body."""
    headers = [
        (name, value)
        for name, value in scope["headers"]
        if name in allowlist.HEADERS
        or name == b"authorization"
        or (
            name.startswith(allowlist.ALLOWED_PREFIXES)
            and not name.startswith(allowlist.REFUSED_PREFIXES)
        )
    ]
    if body is not None:
        headers += [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ]
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    kept = urlencode([(name, value) for name, value in query if name in allowlist.QUERY])
    return {**scope, "headers": headers, "query_string": kept.encode()}
