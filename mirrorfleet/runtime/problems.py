"""What a role finds wrong with a host, and how much of the run that ends.

Roles leave the place open: the run puts the host's name there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from mirrorfleet.config.problems import Part, Place, Problem

HERE = Place()
"""The host that is read just now."""


def error(mistake: str, fix: str = "") -> Problem:
    """Return a problem that ends the run before the first change on any host."""
    return Problem(HERE, (), mistake, fix)


def warning(mistake: str, fix: str = "") -> Problem:
    """Return a problem that may or may not show later: it is printed, and the run goes on."""
    return Problem(HERE, (), mistake, fix, "warning")


def skip(mistake: str, fix: str = "", part: Part | None = None) -> Problem:
    """Return a problem that concerns a ``part`` of one host, or less: the run skips that."""
    return Problem(HERE, (), mistake, fix, "skip", part=part)


def skipping(part: Part, problems: Iterable[Problem]) -> Iterator[Problem]:
    """Yield the problems; an error among them only skips a part of the host."""
    for problem in problems:
        is_error = problem.severity == "error"
        yield replace(problem, severity="skip", part=part) if is_error else problem


def on(host: str, problem: Problem) -> Problem:
    """Return a problem with the name of its host."""
    return replace(problem, place=Place(host=host))
