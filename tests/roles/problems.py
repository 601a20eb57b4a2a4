"""Texts of problems."""

from __future__ import annotations

from collections.abc import Iterable

from mirrorfleet.config.problems import Problem


def texts(problems: Iterable[Problem], severity: str = "") -> list[str]:
    """Return the texts of all problems, or of those with one severity."""
    return [problem.text for problem in problems if severity in ("", problem.severity)]
