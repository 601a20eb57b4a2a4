"""Pure: what a service's canary measures, against what its generations have recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mirrorfleet.roles.proof.files import figures
from mirrorfleet.roles.proof.files.api import printable
from mirrorfleet.roles.proof.files.figures import Finding
from mirrorfleet.runtime.canary import Canary


@dataclass(frozen=True)
class Model:
    """The figures of a model, and their comparison. ``fault``: why there are none."""

    name: str
    figures: Mapping[str, Any]
    findings: tuple[Finding, ...]
    fault: str = ""


@dataclass(frozen=True)
class Result:
    """The canary of a service on a host.

    ``against``: what it is compared with, in words. ``is_former``: that is another generation, to
    which the service can be rolled back. ``silent``: the service does not answer.
    """

    host: str
    title: str
    service: str
    release: str = ""
    generation: str = ""
    against: str = ""
    is_former: bool = False
    models: tuple[Model, ...] = ()
    silent: bool = False

    @property
    def faults(self) -> Iterator[tuple[str, str]]:
        """Yield cause and fix of each fault."""
        unit = f"mirrorfleet-{self.service}"
        if self.silent:
            cause = f"{self.title} on {self.host} has no figures: it does not answer on its port"
            yield cause, f"See `systemctl status {unit}` on {self.host}, and run mirrorfleet apply."
            return
        for model in self.models:
            for found in model.findings:
                if found.state == "failed":
                    cause = f"'{model.name}' at {self.title} on {self.host}: {found.item}"
                    yield f"{cause} {found.words}", self._remedy(unit)

    def _remedy(self, unit: str) -> str:
        if self.is_former:
            return f"mirrorfleet rollback returns to {self.against}, if the change is the cause."
        return f"See journalctl -u {unit} on {self.host}, and what else asks the engine now."


def result(host: str, canary: Canary, report: Mapping[str, Any]) -> Result:
    """Return the result from the report of a host; empty without an answer."""
    if not report:
        return Result(host, canary.title, canary.service, silent=True)
    before = report.get("before") or {}
    recorded = before.get("models") or {}
    generation = str(report.get("generation", ""))
    is_former = bool(before) and before.get("generation") != generation
    models = tuple(_model(name, now, recorded.get(name)) for name, now in report["now"].items())
    return Result(
        host=host,
        title=canary.title,
        service=canary.service,
        release=printable(str(report.get("release", ""))),
        generation=generation,
        against=_against(before, is_former=is_former),
        is_former=is_former,
        models=models,
    )


def _model(name: str, now: Mapping[str, Any], before: Any) -> Model:
    if fault := now.get("fault"):
        return Model(name, now, (), printable(str(fault)))
    known = before if isinstance(before, dict) else None
    return Model(name, now, tuple(figures.compared(dict(now), known)))


def _against(before: Mapping[str, Any], *, is_former: bool) -> str:
    if not before:
        return ""
    if not is_former:
        return "the same generation, when it was new"
    release = printable(str(before.get("release", "")))
    return f"generation {before.get('generation')}{f' ({release})' if release else ''}"
