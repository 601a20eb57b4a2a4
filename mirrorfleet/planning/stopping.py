"""How long a gateway or a load balancer drains and waits for turns before it stops."""

from __future__ import annotations

from mirrorfleet.config import Fleet, Gateway

DRAIN = 5
"""Seconds. A load balancer with a probe every second needs three for three failures."""

STREAM = 1800
"""Most seconds of a streamed answer: 32,000 tokens at 20 per second, and a margin."""

STREAM_ALONE = 600
"""The same for a single gateway, which serves no other clients while it stops."""


def drain_seconds(fleet: Fleet, gateway: Gateway) -> int:
    """Return the seconds in which probes find that a gateway stops; 0 if nothing probes it."""
    if gateway.drain_seconds is not None:
        return gateway.drain_seconds
    return DRAIN if fleet.load_balancer or len(gateway.hosts) > 1 else 0


def stop_timeout(fleet: Fleet, gateway: Gateway, stream: int) -> int:
    """Return the seconds to wait for requests at a stop; a streamed answer can take ``stream``."""
    longest = max((calls.timeout or 0 for calls in fleet.calls.values()), default=0)
    return gateway.stop_timeout or max(gateway.timeout, longest, stream)
