"""Checks: values that fit Echo's schema and cannot work."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Problem
from mirrorfleet.engines.placement import models_of
from tests.engines.echo.model import EchoModel


def problems(fleet: Fleet) -> Iterator[Problem]:
    """Yield the problems of models on Echo."""
    for model in models_of(fleet, EchoModel):
        if model.voice == "loud" and len(model.hosts) > 1:
            yield fleet.document.problem(
                ("models", model.name, "voice"), "is loud on several hosts.", "Write soft."
            )
