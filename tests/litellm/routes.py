"""Print the routes of the real LiteLLM with their methods as JSON; runs by its own Python.

The application holds a router as one route with inner routes. It loads some routers at their first
request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

from litellm.proxy import _lazy_features
from litellm.proxy.proxy_server import app


def flattened(routes: Any) -> Iterator[tuple[str, list[str]]]:
    """Yield path and methods of each route; a websocket has no methods."""
    for route in routes:
        if hasattr(route, "effective_candidates"):
            yield from flattened(route.effective_candidates())
        elif hasattr(route, "path"):
            yield route.path, sorted(getattr(route, "methods", None) or [])


async def load_all() -> None:
    """Load all routers."""
    for feature in _lazy_features.LAZY_FEATURES:
        await _lazy_features._force_load(app, feature, _lazy_features.LAZY_FEATURES)


if __name__ == "__main__":
    asyncio.run(load_all())
    print(json.dumps(sorted({(path, *methods) for path, methods in flattened(app.router.routes)})))
