"""Read the body of a developer's request as JSON, and write it again for LiteLLM."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import Receive

    from mirrorfleet.roles.litellm.files.mirrorfleet_allowlist import LIMIT
    from mirrorfleet.roles.litellm.files.mirrorfleet_key_file import Refused
else:
    from mirrorfleet_allowlist import LIMIT
    from mirrorfleet_key_file import Refused


async def received(receive: Receive) -> Any:
    """Return the whole body, parsed. Raises ``Refused``, or ``ConnectionResetError`` if the client
    disconnects early."""
    return _decoded(await _received(receive))


async def _received(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ConnectionResetError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LIMIT:
            raise Refused(413, f"The body has more than {LIMIT} bytes.")
        if not message.get("more_body"):
            return b"".join(parts)


def _decoded(body: bytes) -> Any:
    """Parse JSON; the last of several equal names wins. Raises ``Refused``."""
    import orjson

    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:  # orjson rejects half of a surrogate pair, which a truncated text can end with
        return json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Refused(400, "The body is not JSON.") from None


def _no_number(text: str) -> None:
    raise ValueError(text)


def encoded(body: dict[str, Any]) -> bytes:
    """Return a body as JSON. Raises ``Refused``."""
    import orjson

    try:
        text: bytes = orjson.dumps(body)
        return text
    except TypeError:  # half of a surrogate pair, which LiteLLM refuses, or a very large number
        pass
    try:
        encoded = json.dumps(body, ensure_ascii=False).encode("utf-16", "surrogatepass")
    except RecursionError:
        raise Refused(400, "The body is nested too deeply.") from None
    return encoded.decode("utf-16", "replace").encode()
