"""`requires`: the releases of Mirrorfleet for a fleet file, checked before everything else."""

from __future__ import annotations

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from mirrorfleet import __version__
from mirrorfleet.config.document import Document
from mirrorfleet.config.problems import Problem

KEY = "requires"
EXAMPLE = "For example: '>=0.2,<0.3'."


def problem(document: Document) -> Problem | None:
    """Return the problem if the file is for another release, whose other messages would mislead."""
    if not isinstance(document.data, dict) or KEY not in document.data:
        return None
    text = document.data[KEY]
    if not isinstance(text, str):
        return document.problem((KEY,), f"is {text!r}, not a range of releases.", EXAMPLE)
    try:
        releases = SpecifierSet(text)
    except InvalidSpecifier:
        return document.problem((KEY,), f"is '{text}', not a range of releases.", EXAMPLE)
    if releases.contains(__version__, prereleases=True):
        return None
    return document.problem(
        (KEY,),
        f"is '{text}', but this is Mirrorfleet {__version__}.",
        "Install a release in that range, such as the one in requirements.txt: pip install -r "
        "requirements.txt.",
    )
