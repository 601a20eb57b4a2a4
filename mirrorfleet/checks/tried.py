"""Releases that the tests of Mirrorfleet never ran together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Place, Problem
from mirrorfleet.data.proofs import proofs
from mirrorfleet.engines.registry import ENGINES

SHOWN = 2
"""Most combinations that a note has; others are counted."""

Releases = tuple[str, str, str]
"""Of the client, the gateway and the engine; "" for a part that a fleet does not have."""


def notes(fleet: Fleet) -> Iterator[Problem]:
    """Yield one note if releases of a fleet never ran together in a test.

    Without a record of a whole fleet (client, gateway and engine), nothing is known, so there is no
    note.
    Releases count, not builds: a release of vLLM that ran on a CPU counts for GPUs too.
    """
    ran = {(proof.client, proof.gateway, proof.engine.removesuffix("-cpu")) for proof in proofs()}
    if not any(all(releases) for releases in ran):
        return
    missing = [
        used
        for used in _used(fleet)
        if not any(
            all(mine in ("", its) for mine, its in zip(used, all_, strict=True)) for all_ in ran
        )
    ]
    if missing:
        shown = "; ".join(map(_text, missing[:SHOWN]))
        more = f"; and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        yield Problem(
            Place(str(fleet.document.path)),
            (),
            f"Mirrorfleet's tests have not run these releases together: {shown}{more}.",
            "`mirrorfleet docs matrix` lists those that they ran, such as "
            f"{_text(_closest(missing[0], ran))}.",
            "note",
        )


def _closest(used: Releases, ran: Iterable[Releases]) -> Releases:
    """Return the tested releases of a whole fleet that differ from these in the fewest parts."""

    def equal(releases: Releases) -> int:
        return sum(mine == its for mine, its in zip(used, releases, strict=True))

    return max(sorted(filter(all, ran), reverse=True), key=equal)


def _used(fleet: Fleet) -> list[Releases]:
    """Return each combination of releases that a fleet installs."""
    clients = sorted({group.version for group in fleet.developers.values()})
    gateways = [fleet.gateway.version] if fleet.gateway else []
    engines = sorted(
        {
            f"{name} {installed.version}"
            for name, engine in ENGINES.items()
            for installed in engine.installed(fleet)
        }
    )
    found = product(clients or [""], gateways or [""], engines or [""])
    return [releases for releases in found if any(releases)]


def _text(releases: Releases) -> str:
    client, gateway, engine = releases
    name, _, version = engine.partition(" ")
    parts = (
        client and f"Claude Code {client}",
        gateway and f"LiteLLM {gateway}",
        engine and f"{ENGINES[name].title} {version}",
    )
    return ", ".join(part for part in parts if part)
