"""What a release changes against the release before, in words for the person who moves to it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.version import Version

from mirrorfleet.config.advisories import Hit
from mirrorfleet.config.claude_settings import Release
from mirrorfleet.config.lock_files import pins
from mirrorfleet.data import table
from mirrorfleet.runtime.locks import for_host

SHOWN = 12
"""Most names of a line; others are counted."""

KINDS = {
    "arguments": "options of vllm serve",
    "tool_parsers": "parsers of tool calls",
    "reasoning_parsers": "parsers of thinking",
    "variables": "variables",
    "models": "parameters of models",
    "mcp_servers": "parameters of MCP servers",
}
"""Kinds of names in words; others are called as in the data file."""

Names = Mapping[str, Iterable[str]]


def names(before: Names, after: Names) -> Iterator[str]:
    """Yield the names that are new or gone, by kind."""
    for kind in {**before, **after}:
        old, new = set(before.get(kind, ())), set(after.get(kind, ()))
        yield from _line(KINDS.get(kind, kind), sorted(new - old), sorted(old - new))


def advisories(before: Iterable[Hit], after: Iterable[Hit]) -> Iterator[str]:
    """Yield which advisories a release mends, and which cover it without a fixed release."""
    old, new = ({hit.advisory.name for hit in hits} for hits in (before, after))
    if mended := sorted(old - new):
        yield f"advisories that it mends: {_listed(mended)}"
    if new:
        yield f"advisories that cover it, without a fixed release: {_listed(sorted(new))}"


def packages(before: str, after: str) -> Iterator[str]:
    """Yield the packages that two lock files install differently on a Debian 12 host."""
    old, new = (dict(pins(for_host(text, "3.11.2", "x86_64"))) for text in (before, after))
    yield from _line("packages", sorted(new.keys() - old), sorted(old.keys() - new))
    # A step of more than a patch first: it matters more, and only the first are shown.
    both = sorted(old.keys() & new.keys(), key=lambda name: (_is_patch(old[name], new[name]), name))
    moved = [f"{name} {old[name]} -> {new[name]}" for name in both if old[name] != new[name]]
    if moved:
        yield f"packages of another version: {_listed(moved)}"


def _is_patch(before: str, after: str) -> bool:
    return Version(before).release[:2] == Version(after).release[:2]


def client(before: Release, after: Release) -> Iterator[str]:
    """Yield what is different in a release of Claude Code."""
    old, new = before.settings, after.settings
    yield from _line("settings", sorted(new.keys() - old), sorted(old.keys() - new))
    for name in sorted(old.keys() & new.keys() - {"env"}):
        if old[name] != new[name]:
            if _unread(old[name], new[name]):
                yield f"setting {name}: a part of it cannot be read in this release, nor checked"
                continue
            was, now = set(_words(old[name])), set(_words(new[name]))
            found = list(_line(f"setting {name}", sorted(now - was), sorted(was - now)))
            yield from found or [f"setting {name}: accepts values of another type"]
    yield from names({"variables": before.environment}, {"variables": after.environment})
    yield from names({"capabilities": before.capabilities}, {"capabilities": after.capabilities})
    for tier in {**before.ids, **after.ids}:
        if before.ids.get(tier) != after.ids.get(tier):
            yield (
                f"model of the tier {tier}: {before.ids.get(tier, 'none')} -> "
                f"{after.ids.get(tier, 'none')}; gateways route it once a group has this release"
            )


def _unread(old: Any, new: Any) -> bool:
    """Return whether the type of a part is known in the old schema only; ``{}`` is unknown."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return False
    if old and not new:
        return True
    if old.get("type") == "array" == new.get("type") and "items" in old and "items" not in new:
        return True
    return any(_unread(old[key], new[key]) for key in old.keys() & new.keys())


def _words(schema: Any) -> Iterator[str]:
    """Yield the keys and values that a setting accepts by name."""
    if isinstance(schema, list):
        for each in schema:
            yield from _words(each)
    elif isinstance(schema, dict):
        yield from map(str, schema.get("enum", ()))
        for key, each in schema.get("properties", {}).items():
            yield key
            yield from _words(each)
        for key, each in schema.items():
            if key != "properties":
                yield from _words(each)


def gone_from_client(known: Release) -> Iterator[str]:
    """Yield what Mirrorfleet writes for clients and a release does not know."""
    derived, local = table("claude_derived"), table("claude_local")["capabilities"]
    variables = {name for name in derived["env"] if name.isupper()}
    capabilities = {name for listed in local.values() for name in listed}
    for kind, requested, has in (
        ("settings", set(derived["settings"]), known.settings.keys()),
        ("variables", variables, known.environment),
        ("capabilities", capabilities, known.capabilities),
    ):
        if lost := sorted(requested - set(has)):
            yield f"{kind} that Mirrorfleet writes, and this release does not know: {_listed(lost)}"


def gone_from_litellm(known: Names) -> Iterator[str]:
    """Yield what Mirrorfleet writes for gateways and a release does not know."""
    derived = table("litellm_derived")
    for section in derived.keys() & known.keys():
        if lost := sorted(derived[section].keys() - set(known[section]) - UNLISTED):
            yield f"{section} that Mirrorfleet writes, and this release has not: {_listed(lost)}"


UNLISTED = {"telemetry"}
"""Names that LiteLLM reads without declaring them."""


def gone_from_vllm(known: Names) -> Iterator[str]:
    """Yield options and parsers that keys and families need and a release does not have."""
    if lost := sorted(table("vllm_arguments")["derived"].keys() - set(known["arguments"])):
        yield f"options that the fleet file has keys for, and this release has not: {_listed(lost)}"
    for kind in ("tool", "reasoning"):
        has = set(known[f"{kind}_parsers"])
        families = [
            f"{name} ({parser})"
            for name, family in table("families").items()
            if (parser := family.get(f"{kind}_parser", "")) and parser not in has
        ]
        if families:
            yield f"families without their parser in this release: {_listed(families)}"


def without_family(before: Names, after: Names) -> Iterator[str]:
    """Yield the new parsers of a release that no family has: models without a family."""
    for kind in ("tool", "reasoning"):
        used = {family.get(f"{kind}_parser") for family in table("families").values()}
        new = set(after.get(f"{kind}_parsers", ())) - set(before.get(f"{kind}_parsers", ()))
        if lost := sorted(new - used):
            yield f"new {KINDS[f'{kind}_parsers']} that no family has yet: {_listed(lost)}"


def price_lists(before: Path, after: Path) -> Iterator[str]:
    """Yield how many models of LiteLLM's price list are new, gone or have other limits."""
    old, new = (
        {
            (provider, name): entry
            for provider, models in _read(path).items()
            for name, entry in models.items()
        }
        for path in (before, after)
    )
    counts = {
        "new": len(new.keys() - old),
        "gone": len(old.keys() - new),
        "with other limits or abilities": sum(old[key] != new[key] for key in old.keys() & new),
    }
    if found := [f"{count} {what}" for what, count in counts.items() if count]:
        yield f"models of the price list: {', '.join(found)}"


def _read(path: Path) -> dict[str, dict[str, Any]]:
    content: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return content


def _line(kind: str, new: list[str], gone: list[str]) -> Iterator[str]:
    parts = [f"{what} {_listed(found)}" for what, found in (("new", new), ("gone", gone)) if found]
    if parts:
        yield f"{kind}: {'; '.join(parts)}"


def _listed(found: list[str]) -> str:
    more = len(found) - SHOWN
    return ", ".join(found[:SHOWN]) + (f" and {more} more" if more > 0 else "")
