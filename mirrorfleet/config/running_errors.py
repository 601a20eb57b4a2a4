"""Keys that a model or gateway cannot have, most of them because it already runs.

The schema of such a model names them: ``installed`` lists the schemas of installed models, whose
other keys are refused, and ``refused`` has the fix of some keys, also of further ones.
``inapplicable`` has the fix of keys that other models have, and this one cannot have at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from mirrorfleet.config.document import Document
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.config.schema import Schema, definition

REMOVE = "Remove it."


def refused(document: Document, key: Key, schema: Schema) -> Problem | None:
    """Return the problem of an unknown key; ``None`` if no running engine is the reason."""
    name = str(key[-1])
    if name in schema.get("inapplicable", {}):
        return document.problem(key, "does not apply here.", schema["inapplicable"][name])
    fix = schema.get("refused", {}).get(name)
    if not any(name in definition(each)["properties"] for each in schema.get("installed", ())):
        return document.problem(key, "cannot be set through a gateway.", fix) if fix else None
    server = document.data
    for part in key[:-1]:
        server = server[part]
    place = f" at {server['url']}" if "url" in server else ""
    kind = "gateway" if key[0] == "gateway" else "engine"
    mistake = f"this {kind} already runs{place}; Mirrorfleet installs nothing there."
    return document.problem(key, mistake, fix or REMOVE)


def all_refused(
    document: Document, key: Key, names: Iterable[str], schema: Schema
) -> Iterator[Problem]:
    """Yield the problems of unknown keys; those with the same fix are one, at the first key."""
    removed: list[Problem] = []
    for name in names:
        problem = refused(document, (*key, name), schema)
        if problem and problem.remedy == REMOVE:
            removed.append(problem)
        elif problem:
            yield problem
    removed.sort(key=lambda each: each.place.line)
    if removed:
        others = [f"'{each.key[-1]}'" for each in removed[1:]]
        both = " and ".join(filter(None, [", ".join(others[:-1]), *others[-1:]]))
        first = removed[0]
        yield replace(first, remedy=f"Remove it, and {both}." if others else first.remedy)


def unfinished(document: Document, key: Key, schema: Schema) -> Problem | None:
    """Return the problem of a mapping that may be meant for a server that already runs.

    Its schema names the key of such a server in ``already``, and what to write. ``None`` if the
    mapping does not have that key alone.
    """
    already, data = schema.get("already"), document.data
    for part in key:
        data = data[part]
    if not already or already["key"] not in data or set(schema["required"]) & data.keys():
        return None
    return document.problem(key, already["mistake"], already["fix"])
