"""Where an engine's weights stand on the host, and how they get there whole.

/var/lib/mirrorfleet/weights/
    coder-3f1c5f0d6b3a/            whole: it got its name when every byte was proved
        .mirrorfleet/              the list of its files: their digests, their sizes
    coder-8d9e0a1b2c3d.part/       on its way, or cut; the next run goes on with it
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
from mirrorfleet.roles.vllm import push
from mirrorfleet.roles.vllm.arrival import FILES, accept, begin
from mirrorfleet.roles.vllm.facts import FileSizes, SharedWeights, Weights
from mirrorfleet.roles.vllm.render import USER
from mirrorfleet.runtime.commands import Commands, telling
from mirrorfleet.runtime.facts import Disk, Fact
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import STATE, WEIGHTS
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.secrets import reveal
from mirrorfleet.runtime.shell import shell

HUB = (FILES / "hub_download.py").read_text(encoding="utf-8")

NAMED = 3
"""Files that are told by their names; of more, the number."""


def location(model: str, weights: Source) -> str:
    """Return the directory on the host; other weights are another directory."""
    match weights.kind:
        case "path":
            return weights.source
        case "hub":
            return f"{WEIGHTS}/{model}-{(weights.revision or '')[:12]}"
        case "push":
            return f"{WEIGHTS}/{model}-{push.digest(Path(weights.source))[:12]}"


def known_location(engine: VllmPlan) -> str:
    """Return the same also where the files to push are no longer on this machine: then a pattern.

    Enough to roll back an engine, which only names the directory to people.
    """
    try:
        return location(engine.model, engine.weights)
    except DeployError:
        return f"{WEIGHTS}/{engine.model}-*"


def facts(engine: VllmPlan) -> list[Fact[Any]]:
    """What must be asked of a host to know whether it has the weights, and what of them."""
    if engine.weights.kind != "push":
        return [fact(engine), Disk(STATE)]
    part = f"{location(engine.model, engine.weights)}.part"
    return [fact(engine), Disk(STATE), FileSizes(part)]


def fact(engine: VllmPlan) -> Weights:
    """Return the fact of the weights at their place."""
    kind = SharedWeights if engine.weights.kind == "path" else Weights
    return kind(location(engine.model, engine.weights))


def problems(engines: Iterable[VllmPlan], observed: Observation) -> Iterator[Problem]:
    """Yield why a host cannot have the weights."""
    engines = list(engines)
    for engine in engines:
        place = location(engine.model, engine.weights)
        if engine.hub and engine.hub.token and any(changes(engine, observed)):
            reveal(engine.hub.token)
        if engine.weights.kind != "path":
            continue
        wrong = observed[fact(engine)]
        if wrong is None:
            yield error(f"there are no weights for '{engine.model}' at {place}.", "Put them there.")
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
    """Return how many bytes the weights of each model will still take below ``STATE``.

    Of those from a hub, only the host itself learns this, and refuses before it fetches any.
    """
    return {
        engine.model: push.missing_bytes(
            Path(engine.weights.source), location(engine.model, engine.weights), observed
        )
        for engine in engines
        if engine.weights.kind == "push"
    }


def changes(engine: VllmPlan, observed: Observation) -> Iterator[Change]:
    """Yield the weights, if the host will be given them, or what is no longer right of them."""
    place = location(engine.model, engine.weights)
    if engine.weights.kind == "path":
        return
    wrong = observed[fact(engine)]
    if wrong is None:
        yield Change(f"{place} is missing")
    elif wrong:
        yield Change(f"{place}: {_named(wrong)} missing or cut")


def fetch(engine: VllmPlan, environment: str, observed: Observation) -> Commands:
    """Bring the weights to the host, or what is wrong of them.

    ``environment`` is the directory of the engine's Python environment, which has the hub's client.
    """
    if not any(changes(engine, observed)):
        return
    place = location(engine.model, engine.weights)
    if engine.weights.kind == "push":
        yield from push.send(engine.model, Path(engine.weights.source), place, observed)
    else:
        yield _download(engine, environment, place)


def _download(engine: VllmPlan, environment: str, place: str) -> PyinfraCommand:
    hub = engine.hub
    if hub is None:
        raise ValueError(f"{engine.model}: weights of a hub need the settings of one")
    wanted = {
        "model": engine.model,
        "repository": engine.weights.source,
        "revision": engine.weights.revision,
        "url": hub.url,
        "token": reveal(hub.token) if hub.token else None,
        "proxy": hub.proxy,
    }
    download = shell(FILES / "download.sh", environment=environment, program=HUB, user=USER)
    return telling(begin(place) + download + accept(place, "check"), json.dumps(wanted))


def _named(files: Iterable[str]) -> str:
    """Name some files, as the subject of a sentence."""
    names = sorted(files)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more} {'is' if len(names) == 1 else 'are'}"
