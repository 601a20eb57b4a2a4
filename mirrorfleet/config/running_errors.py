"""Keys that a model cannot have because its engine already runs.

The schema of such a model names them: ``installed`` lists the schemas of installed models, whose
other keys are refused, and ``refused`` has further keys, each with its fix.
"""

from __future__ import annotations

from mirrorfleet.config.document import Document
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.config.schema import Schema, definition


def refused(document: Document, key: Key, schema: Schema) -> Problem | None:
    """Return the problem of an unknown key; ``None`` if no running engine is the reason."""
    name = str(key[-1])
    if fix := schema.get("refused", {}).get(name):
        return document.problem(key, "cannot be set through a gateway.", fix)
    if not any(name in definition(each)["properties"] for each in schema.get("installed", ())):
        return None
    model = document.data
    for part in key[:-1]:
        model = model[part]
    place = f" at {model['url']}" if "url" in model else ""
    fix = "Remove it."
    if name == "hosts":
        fix = "Remove 'hosts'; or remove 'url', and Mirrorfleet installs the engine on these hosts."
    return document.problem(
        key, f"this engine already runs{place}; Mirrorfleet installs nothing there.", fix
    )
