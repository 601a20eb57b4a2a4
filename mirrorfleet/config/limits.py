"""Limits of gateways: of their workers, of deployments, and of developers' turns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mirrorfleet.config.reader import Section


@dataclass(frozen=True)
class Rate:
    """Requests and tokens per minute of one deployment of a model, ``None`` for no limit."""

    rpm: int | None
    tpm: int | None


@dataclass(frozen=True)
class Turns:
    """Turns that may start per minute, and run at the same time. ``None`` stands for no limit."""

    requests_per_minute: int | None
    parallel: int | None


@dataclass(frozen=True)
class TurnLimits:
    """Limits of developers' turns at all gateways; ``people`` and ``groups`` are exceptions."""

    fleet: Turns | None = None
    per_person: Turns | None = None
    people: Mapping[str, Turns] = field(default_factory=dict)
    per_group: Turns | None = None
    groups: Mapping[str, Turns] = field(default_factory=dict)
    models: Mapping[str, Turns] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Return whether there are any limits."""
        return any(vars(self).values())


@dataclass(frozen=True)
class Limits:
    """Limits of each worker, rates by model, and limits of turns. ``None`` stands for no limit."""

    max_in_flight_requests_per_worker: int | None
    max_queued_requests_per_worker: int | None
    limit_concurrency: int | None
    models: Mapping[str, Rate]
    turns: TurnLimits = field(default_factory=TurnLimits)


def limits(section: Section) -> Limits:
    """Read ``gateway.limits``."""
    models = list(section.mapping("models").mappings())
    return Limits(
        max_in_flight_requests_per_worker=section.get("max_in_flight_requests_per_worker"),
        max_queued_requests_per_worker=section.get("max_queued_requests_per_worker"),
        limit_concurrency=section.get("limit_concurrency"),
        models={
            each.name: Rate(each.get("rpm"), each.get("tpm"))
            for each in models
            if "rpm" in each or "tpm" in each
        },
        turns=TurnLimits(
            fleet=_turns(section, "fleet"),
            per_person=_turns(section, "per_person"),
            people=_by_name(section, "people"),
            per_group=_turns(section, "per_group"),
            groups=_by_name(section, "groups"),
            models={
                each.name: _read(each)
                for each in models
                if "requests_per_minute" in each or "parallel" in each
            },
        ),
    )


def _turns(section: Section, name: str) -> Turns | None:
    return _read(section.mapping(name)) if name in section else None


def _by_name(section: Section, name: str) -> dict[str, Turns]:
    return {each.name: _read(each) for each in section.mapping(name).mappings()}


def _read(section: Section) -> Turns:
    return Turns(section.get("requests_per_minute"), section.get("parallel"))
