"""Validate a fleet file by its schema, and remove invalid values for further checks."""

from __future__ import annotations

from mirrorfleet.config import schema, shorthand
from mirrorfleet.config.document import Document
from mirrorfleet.config.problems import Problem


def examine(document: Document) -> tuple[Document | None, list[Problem]]:
    """Return the document without invalid values, and the problems.

    The rest can be checked further, so that all mistakes are reported at once. The document is
    ``None`` if too little is left.
    """
    document = shorthand.expand(document)
    if schema.is_valid(document.data):
        return document, list(document.problems)
    # Only for mistakes: it imports jsonschema, which takes as long as ten connections.
    from mirrorfleet.config import invalid_values

    return invalid_values.without(document)
