"""Print the routes of the real LiteLLM, with their methods, as JSON: by its own Python.

A router is in the application as one route that holds others, and some are only loaded when they
are asked for the first time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

from litellm.proxy import _lazy_features
from litellm.proxy.proxy_server import app


def routes(several: Any) -> Iterator[tuple[str, list[str]]]:
    """Yield path and methods of each; a websocket has none."""
    for each in several:
        if hasattr(each, "effective_candidates"):
            yield from routes(each.effective_candidates())
        elif hasattr(each, "path"):
            yield each.path, sorted(getattr(each, "methods", None) or [])


async def loaded() -> None:
    for feature in _lazy_features.LAZY_FEATURES:
        await _lazy_features._force_load(app, feature, _lazy_features.LAZY_FEATURES)


if __name__ == "__main__":
    asyncio.run(loaded())
    print(json.dumps(sorted({(path, *methods) for path, methods in routes(app.router.routes)})))
