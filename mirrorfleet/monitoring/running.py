"""Pure: engines that already run, as Prometheus reads their metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from mirrorfleet.config import EngineModel, Fleet
from mirrorfleet.config.addresses import is_loopback
from mirrorfleet.engines.placement import models_of
from mirrorfleet.engines.registry import engine_of


def targets(fleet: Fleet) -> Iterator[dict[str, Any]]:
    """Yield the target of each engine that has metrics and is reached from other hosts."""
    for model, url in _measured(fleet):
        parts = urlsplit(url)
        if not is_loopback(parts.hostname or ""):
            labels = {"fleet": fleet.name, "host": parts.hostname or "", "model": model.name}
            labels |= {"__scheme__": "https"} if parts.scheme == "https" else {}
            path = parts.path + engine_of(model).metrics_path
            labels |= {"__metrics_path__": path} if path != "/metrics" else {}
            yield {"targets": [parts.netloc], "labels": labels}


def unmonitored(fleet: Fleet) -> Iterator[str]:
    """Yield each engine whose metrics no other host can read, and the fix."""
    for model, url in _measured(fleet):
        if is_loopback(urlsplit(url).hostname or ""):
            yield (
                f"{model.name}: only the engine's own host reads metrics at {url}. "
                "Run Prometheus there."
            )


def _measured(fleet: Fleet) -> Iterator[tuple[EngineModel, str]]:
    for model in models_of(fleet, EngineModel):
        if model.url and engine_of(model).metrics_path:
            yield model, model.url
