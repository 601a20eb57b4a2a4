"""Paths on hosts that a service does not see, and text that no command line can hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mirrorfleet.config import Fleet, VllmModel
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.config.sandbox import HOMES, TEMPORARY, has_controls, hidden


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in fleet.models.values():
        key: Key = ("models", model.name)
        if isinstance(model, VllmModel):
            if model.weights.kind == "path":
                yield from _path(fleet, (*key, "weights", "path"), model.weights.source)
            for name, value in model.arguments.items():
                yield from _argument(fleet, (*key, "arguments", name), value)
                yield from _text(fleet, (*key, "arguments", name), value)
            for name, value in model.environment.items():
                # A program that writes below /tmp finds one there: the service's own.
                yield from _path(fleet, (*key, "environment", name), value, HOMES)
    for name, value in fleet.gateway.environment.items() if fleet.gateway else ():
        if isinstance(value, str):
            yield from _path(fleet, ("gateway", "environment", name), value, HOMES)
            # systemd passes these two on.
            yield from _text(
                fleet, ("gateway", "environment", name), value.translate({9: " ", 10: " "})
            )
    for host in fleet.hosts.values():
        if host.cuda_compat:
            yield from _path(fleet, ("hosts", host.name, "gpus", "cuda_compat"), host.cuda_compat)
    balancer = fleet.load_balancer
    if balancer and balancer.certificate and balancer.certificate.path:
        key = ("load_balancer", "certificate", "path")
        yield from _path(fleet, key, balancer.certificate.path)


def _argument(fleet: Fleet, key: Key, value: Any) -> Iterator[Problem]:
    """Look at an option, and at all that is in one that is JSON."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _argument(fleet, (*key, name), each)
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _argument(fleet, (*key, at), each)
    elif isinstance(value, str):
        yield from _path(fleet, key, value)


def _text(fleet: Fleet, key: Key, value: object) -> Iterator[Problem]:
    """JSON spells control characters otherwise; a plain option cannot."""
    if isinstance(value, str) and has_controls(value):
        yield fleet.document.problem(
            key,
            "holds a control character, and systemd passes none on.",
            "Remove it; a longer text, such as a chat template, is read from a file.",
        )


def _path(
    fleet: Fleet, key: Key, path: str, places: tuple[str, ...] = HOMES + TEMPORARY
) -> Iterator[Problem]:
    if place := hidden(path, places):
        option = "ProtectHome" if place in HOMES else "PrivateTmp"
        yield fleet.document.problem(
            key,
            f"is {path}, but systemd hides {place} from the service ({option}).",
            "Move it, for example below /srv, and write the new path.",
        )
