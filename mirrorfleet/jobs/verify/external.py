"""Pure: what a refused turn says about a gateway that somebody else operates."""

from __future__ import annotations

from mirrorfleet.jobs.verify.layers import Fault
from mirrorfleet.jobs.verify.targets import Target, TargetModel

MISSING = (400, 404)
DENIED = (401, 403)


def fault(status: int | None, message: str, target: Target, model: TargetModel) -> Fault:
    """Return the fault of a refused turn: its cause, and what its reader can change."""
    if status is None:
        return Fault(
            "network",
            f"gateway unreachable from {target.host} at {target.url}: {message}",
            "Check gateway.url, DNS, firewalls and proxies between them.",
        )
    if status in DENIED:
        return Fault(
            "gateway",
            f"{status}: the gateway rejects {target.user}'s key",
            f"Ask its operator for a key, and correct the reference of group {target.group}.",
        )
    if status in MISSING and "model" in message.lower() and "context" not in message.lower():
        return Fault(
            "gateway",
            f"the gateway does not have the model '{model.name}': {message}",
            "Name the model in 'models' as the gateway names it.",
        )
    if status == 429:
        return Fault("gateway", f"429: {message}", "Wait, or ask its operator for a higher limit.")
    return Fault("gateway", f"{status}: {message}", "Ask the operator of the gateway.")
