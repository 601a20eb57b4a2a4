"""The removal of models that nothing uses from an Ollama: a role of deploys/remove_weights.py.

It removes the tags that runs have brought and no model needs, the models of an Ollama that left the
host, and blobs that no manifest names: a GGUF file of which Ollama has its own copy, or a cut pull.
It never removes what somebody pulled by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirrorfleet.config.ollama_names import NotAName, parse
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.ollama import OllamaPlan
from mirrorfleet.roles.ollama import models, render
from mirrorfleet.roles.ollama.files.ollama_server import full
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.facts import Content, Fact, Lines
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Role, Step
from mirrorfleet.runtime.shell import shell

FILES = Path(__file__).parent / "files"


@dataclass(frozen=True)
class Store:
    """The bytes of each model of a store by its manifest, and of each blob without a manifest."""

    models: Mapping[str, int]
    blobs: Mapping[str, int]


@dataclass(frozen=True)
class Stored(Fact[Store]):
    """What a store of models has."""

    directory: str

    function = "stored"
    shell = (FILES / "stored.sh",)

    def value(self, lines: Lines) -> Store:
        found: dict[str, dict[str, int]] = {"model": {}, "blob": {}}
        for kind, name, size in lines:
            found[kind][name] = int(size)
        return Store(found["model"], found["blob"])


STORES = (Stored(f"{render.HOME}/models"), Stored(render.ELSEWHERE))


class ModelsRemoval(Role):
    """Remove unused models from all hosts, also from those without Ollama in the fleet file."""

    title = "Ollama"

    def facts(self, plan: HostPlan) -> list[Fact[Any]]:
        return [*STORES, Content(models.LEDGER), Content(models.PULLED)]

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        for store in STORES:
            for name, size in _models(plan, store, observed).items():
                yield Change(f"Ollama's {name} ({size / 1e9:.2f} GB) will be removed")
            for name, size in observed[store].blobs.items():
                yield Change(
                    f"{store.directory}/blobs/{name} ({size / 1e9:.2f} GB) will be removed"
                )

    def remove(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        return (Step("unused models", self.clear),)

    def clear(self, plan: HostPlan, observed: Observation) -> Commands:
        """Remove what no model needs."""
        for store in STORES:
            manifests = _models(plan, store, observed)
            blobs = observed[store].blobs
            if manifests or blobs:
                yield script(
                    shell(
                        FILES / "remove_models.sh",
                        directory=store.directory,
                        manifests=" ".join(manifests),
                        blobs=" ".join(blobs),
                        user=render.USER,
                    )
                )


def _models(plan: HostPlan, store: Stored, observed: Observation) -> dict[str, int]:
    """Return the manifests that will be removed, and the bytes that their models take.

    Models can share blobs: then a removal frees less.
    """
    ledger = models.record(observed[Content(models.LEDGER)])
    brought = {*models.record(observed[Content(models.PULLED)])}
    needed = {
        full(model.tag)
        for each in plan.engines_of(OllamaPlan)
        for model in each.models
        if model.tag
    }
    if plan.engines_of(OllamaPlan):
        # A run removes these itself, once the others have passed their test.
        needed |= {full(name) for name in ledger}
        needed |= {full(entry.get("tag", "")) for entry in ledger.values()}
    else:
        brought |= {full(name) for name in ledger}
    paths = {path for tag in brought - needed if (path := _path(tag))}
    return {
        name: size for name, size in sorted(observed[store].models.items()) if name.lower() in paths
    }


def _path(tag: str) -> str:
    """Return the path of a tag's manifest in lower case; empty for what is no tag."""
    try:
        return parse(tag).path.lower()
    except NotAName:
        return ""
