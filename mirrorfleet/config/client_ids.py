"""The tiers of Claude Code, and the model ids that its releases request by themselves."""

from __future__ import annotations

from collections.abc import Iterable

from mirrorfleet.config.claude_settings import release
from mirrorfleet.config.lock_files import Locks
from mirrorfleet.data import proposed

TIERS = ("opus", "sonnet", "haiku", "fable")


def client_ids(versions: Iterable[str], locks: Locks) -> dict[str, list[str]]:
    """Return the ids by tier that these releases request: for background calls, titles, subagents.

    A gateway that serves a tier routes these ids too. A release that is not known here, or a fleet
    without clients, counts as the proposed release.
    """
    found: dict[str, list[str]] = {tier: [] for tier in TIERS}
    for version in dict.fromkeys(versions) or (proposed("claude"),):
        known = release(version, locks) or release(proposed("claude"))
        for tier, name in (known.ids if known else {}).items():
            if name not in found.setdefault(tier, []):
                found[tier].append(name)
    return found
