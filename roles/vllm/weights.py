"""Where the weights of an engine are on its host, and how they get there.

/var/lib/mirrorfleet/weights/
    coder-3f1c5f0d6b3a/            complete: renamed after every byte was verified
        .mirrorfleet/              the list of its files, with digests and sizes
    coder-8d9e0a1b2c3d.part/       in transit, or interrupted; the next run continues
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyinfra.api.command import PyinfraCommand
from pyinfra.api.exceptions import DeployError

from mirrorfleet.config.problems import Problem
from mirrorfleet.config.vllm import Weights as Source
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.vllm import neighbours, weights_upload
from mirrorfleet.roles.vllm.facts import SharedWeights, Weights
from mirrorfleet.roles.vllm.render import USER
from mirrorfleet.roles.vllm.staging import FILES, accept, begin
from mirrorfleet.runtime.commands import Commands, visible_script
from mirrorfleet.runtime.facts import Disk, Fact, FileSizes
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import STATE, WEIGHTS
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.program import program
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.secrets import reveal
from mirrorfleet.runtime.shell import positional, shell

HUB_FILES = tuple(
    FILES / f"{name}.py" for name in ("hub_files", "neighbour_server", "neighbours", "hub_download")
)
"""The program that downloads weights; each file after those that it imports."""

HUB = program("mirrorfleet.roles.vllm.files", *HUB_FILES)

NAMED = 3
"""The most files that a message names; it counts the others."""


def location(model: str, weights: Source) -> str:
    """Return the directory on the host; different weights have different directories."""
    match weights.kind:
        case "path":
            return weights.source
        case "hub":
            return f"{WEIGHTS}/{model}-{(weights.revision or '')[:12]}"
        case "push":
            return f"{WEIGHTS}/{model}-{weights_upload.digest(Path(weights.source))[:12]}"


def known_location(engine: VllmPlan) -> str:
    """Return the directory, or a pattern for it if the files to push are no longer on this machine.

    A rollback needs no more: it shows the directory in messages only.
    """
    try:
        return location(engine.model, engine.weights)
    except DeployError:
        return f"{WEIGHTS}/{engine.model}-*"


def facts(engine: VllmPlan) -> list[Fact[Any]]:
    """Return the facts that show which files of the weights a host has."""
    if engine.weights.kind != "push":
        return [fact(engine), Disk(STATE)]
    part = f"{location(engine.model, engine.weights)}.part"
    return [fact(engine), Disk(STATE), FileSizes(part)]


def fact(engine: VllmPlan) -> Weights:
    """Return the fact about the weights in their directory."""
    kind = SharedWeights if engine.weights.kind == "path" else Weights
    return kind(location(engine.model, engine.weights))


def problems(engines: Iterable[VllmPlan], observed: Observation) -> Iterator[Problem]:
    """Yield why a host cannot get the weights, or has damaged ones that a run cannot repair."""
    engines = list(engines)
    for engine in engines:
        place = location(engine.model, engine.weights)
        if engine.hub and engine.hub.token and any(changes(engine, observed)):
            reveal(engine.hub.token)
        if engine.weights.kind != "path":
            continue
        wrong = observed[fact(engine)]
        if wrong is None:
            yield error(f"no weights for '{engine.model}' at {place}.", "Copy them there.")
        elif wrong:
            yield error(
                f"the weights for '{engine.model}' at {place} are not complete: {_named(wrong)} "
                "missing or empty.",
                "Copy them there again.",
            )
    needed, free = sum(needs(engines, observed).values()), observed[Disk(STATE)]
    if free is not None and needed > free:
        yield error(
            f"weights need {needed / 1e9:.2f} GB below {STATE}, and {free / 1e9:.2f} GB are free.",
            "Make room: deploys/remove_weights.py removes weights that no service uses.",
        )


def needs(engines: Iterable[VllmPlan], observed: Observation) -> Mapping[str, int]:
    """Return the bytes that the missing weights of each model need below ``STATE``.

    The size of weights from a hub is known to the host only: it stops before the download.
    """
    return {
        engine.model: weights_upload.missing_bytes(
            Path(engine.weights.source), location(engine.model, engine.weights), observed
        )
        for engine in engines
        if engine.weights.kind == "push"
    }


def changes(engine: VllmPlan, observed: Observation) -> Iterator[Change]:
    """Yield the weights if they are missing, or their damaged files."""
    place = location(engine.model, engine.weights)
    if engine.weights.kind == "path":
        return
    wrong = observed[fact(engine)]
    if wrong is None:
        yield Change(f"{place} is missing")
    elif wrong:
        yield Change(f"{place}: {_named(wrong)} missing or truncated")


def fetch(engines: Sequence[tuple[VllmPlan, str]], observed: Observation) -> Commands:
    """Bring missing weights and damaged files to the host, and pass on what other hosts need.

    Each engine stands with the directory of its Python environment, which has the hub's client.
    """
    for engine, _ in engines:
        if engine.weights.kind == "push" and any(changes(engine, observed)):
            place = location(engine.model, engine.weights)
            yield from weights_upload.send(
                engine.model, Path(engine.weights.source), place, observed
            )
    jobs = [
        _Job(
            engine,
            environment,
            location(engine.model, engine.weights),
            any(changes(engine, observed)),
            neighbours.share(engine, fact(engine)),
        )
        for engine, environment in engines
        if engine.weights.kind == "hub"
    ]
    if jobs := [job for job in jobs if job.is_due or job.share]:
        yield _download(jobs)


@dataclass(frozen=True)
class _Job:
    """Weights from a hub: ``is_due`` if this host needs them; with ``share`` others take part."""

    engine: VllmPlan
    environment: str
    place: str
    is_due: bool
    share: neighbours.Share | None

    @property
    def directory(self) -> str:
        return f"{self.place}.part" if self.is_due else self.place

    def request(self) -> dict[str, Any]:
        return {
            "model": self.engine.model,
            "repository": self.engine.weights.source,
            "revision": self.engine.weights.revision,
            "directory": self.directory,
            "complete": not self.is_due,
            **(self.share.request(Path(self.place).name) if self.share else {}),
        }


def _download(jobs: Sequence[_Job]) -> PyinfraCommand:
    """Return the command that brings weights from the hub or other hosts, and passes them on."""
    hub, due = jobs[0].engine.hub, [job for job in jobs if job.is_due]
    if hub is None:
        raise ValueError(f"{jobs[0].engine.model}: weights from a hub need the hub's settings")
    request = {
        "hub": {
            "url": hub.url,
            "token": reveal(hub.token) if hub.token and due else None,
            "proxy": hub.proxy,
        },
        "jobs": [job.request() for job in jobs],
        "share": next((job.share.identity() for job in jobs if job.share), None),
    }
    download = shell(FILES / "download.sh", environment=jobs[0].environment, program=HUB, user=USER)
    text = [
        *(begin(job.place) for job in due),
        positional(*(job.directory for job in due)),
        download,
        accept([job.place for job in due], "check"),
    ]
    return visible_script("".join(text), json.dumps(request))


def _named(files: Iterable[str]) -> str:
    """Return the names of some files with "is" or "are", as the start of a sentence."""
    names = sorted(files)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more} {'is' if len(names) == 1 else 'are'}"
