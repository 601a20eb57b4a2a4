"""Problems that a role finds on a host, by their severity.

Roles leave the place empty: the run sets it to the host's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from mirrorfleet.config.problems import Part, Place, Problem

HERE = Place()
"""The place of a problem whose host the run adds."""


def error(mistake: str, fix: str = "") -> Problem:
    """Return a problem that ends the run before the first change on any host."""
    return Problem(HERE, (), mistake, fix)


def warning(mistake: str, fix: str = "") -> Problem:
    """Return a possible problem: it is printed, and the run continues."""
    return Problem(HERE, (), mistake, fix, "warning")


def skip(mistake: str, fix: str = "", part: Part | None = None) -> Problem:
    """Return a problem for which the run skips a ``part`` of the host, or a smaller thing."""
    return Problem(HERE, (), mistake, fix, "skip", part=part)


def skipping(part: Part, problems: Iterable[Problem]) -> Iterator[Problem]:
    """Yield the problems, with errors changed so that they skip only a part of the host."""
    for problem in problems:
        is_error = problem.severity == "error"
        yield replace(problem, severity="skip", part=part) if is_error else problem


def with_host(host: str, problem: Problem) -> Problem:
    """Return the problem with the name of its host as its place."""
    return replace(problem, place=Place(host=host))
