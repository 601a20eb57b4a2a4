"""Where the weights of an engine are on its host, and how they get there.

/var/lib/mirrorfleet/weights/
    coder-3f1c5f0d6b3a/            complete: renamed after every byte was verified
        .mirrorfleet/              the list of its files, with digests and sizes
    coder-8d9e0a1b2c3d.part/       in transit, or interrupted; the next run continues
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pyinfra.api.command import PyinfraCommand
from pyinfra.api.exceptions import DeployError

from mirrorfleet.config.problems import Problem
from mirrorfleet.config.vllm import Weights as Source
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.vllm import weights_upload
from mirrorfleet.roles.vllm.facts import SharedWeights, Weights
from mirrorfleet.roles.vllm.render import USER
from mirrorfleet.roles.vllm.staging import FILES, accept, begin
from mirrorfleet.runtime.commands import Commands, visible_script
from mirrorfleet.runtime.facts import Disk, Fact, FileSizes
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import STATE, WEIGHTS
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.secrets import reveal
from mirrorfleet.runtime.shell import shell

HUB = (FILES / "hub_download.py").read_text(encoding="utf-8")

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


def fetch(engine: VllmPlan, environment: str, observed: Observation) -> Commands:
    """Bring the weights, or their damaged files, to the host.

    ``environment`` is the directory of the engine's Python environment, which has the hub's client.
    """
    if not any(changes(engine, observed)):
        return
    place = location(engine.model, engine.weights)
    if engine.weights.kind == "push":
        yield from weights_upload.send(engine.model, Path(engine.weights.source), place, observed)
    else:
        yield _download(engine, environment, place)


def _download(engine: VllmPlan, environment: str, place: str) -> PyinfraCommand:
    hub = engine.hub
    if hub is None:
        raise ValueError(f"{engine.model}: weights from a hub need the hub's settings")
    request = {
        "model": engine.model,
        "repository": engine.weights.source,
        "revision": engine.weights.revision,
        "url": hub.url,
        "token": reveal(hub.token) if hub.token else None,
        "proxy": hub.proxy,
    }
    download = shell(FILES / "download.sh", environment=environment, program=HUB, user=USER)
    return visible_script(begin(place) + download + accept(place, "check"), json.dumps(request))


def _named(files: Iterable[str]) -> str:
    """Return the names of some files with "is" or "are", as the start of a sentence."""
    names = sorted(files)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more} {'is' if len(names) == 1 else 'are'}"
