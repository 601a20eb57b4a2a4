"""Problems as a person reads them."""

from __future__ import annotations

from collections.abc import Iterable

from mirrorfleet.config.problems import Problem


def texts(problems: Iterable[Problem], severity: str = "") -> list[str]:
    """Return the texts of problems: of all, or of those of one severity."""
    return [problem.text for problem in problems if severity in ("", problem.severity)]
