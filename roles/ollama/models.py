"""The models of a host's Ollama: which there are, which were made by us, and how they are made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from mirrorfleet.planning import http, origin
from mirrorfleet.planning.ollama import OllamaModelPlan, OllamaPlan
from mirrorfleet.roles.ollama.files.model_manager import full, is_made
from mirrorfleet.runtime.commands import Commands, telling
from mirrorfleet.runtime.digests import digest
from mirrorfleet.runtime.facts import Answer, Content, Exists, Fact
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.shell import call, shell
from mirrorfleet.runtime.upload import upload

LEDGER = f"{ROOT}/ollama/models.json"
"""What was made by us. Root's, and not the server's: a service does not say what may be removed."""

FILES = {"files", "adapters"}
"""What a Modelfile may name on this machine."""

HOOKS = Path(__file__).parent / "files" / "hooks.sh"
PROGRAM = (Path(__file__).parent / "files" / "model_manager.py").read_text(encoding="utf-8")


def facts(plan: OllamaPlan) -> list[Fact[Any]]:
    """What must be known of the models: the ledger, and what the server has."""
    blobs = (Exists(_blob(plan, each)) for model in plan.models for each in _files(model))
    return [Content(LEDGER), Answer(_tags(plan)), *blobs]


def wanted(plan: OllamaPlan) -> list[dict[str, Any]]:
    """Return the models as model_manager.py reads them."""
    return [
        {
            "name": model.model,
            # What the server calls the weights by: models with the same one share them in memory.
            "tag": model.tag or _body(model)["files"][_name(model)],
            "source": model.tag or _name(model),
            "digest": model.digest,
            "context": model.context,
            "gpus": len(plan.devices),
            "body": _body(model),
            "recipe": _digest(model),
        }
        for model in plan.models
    ]


def changes(plan: OllamaPlan, observed: Observation) -> Iterator[Change]:
    """Yield the models that will be made or removed."""
    for name in _unmade(plan, observed):
        yield Change(f"ollama: model {name} is not as it should be")
    for name in sorted(_json(observed[Content(LEDGER)] or b"").keys() - _names(plan)):
        yield Change(f"ollama: model {name} will be removed")


def _unmade(plan: OllamaPlan, observed: Observation) -> list[str]:
    ledger = _json(observed[Content(LEDGER)] or b"")
    there = {
        full(each["name"]): each["digest"]
        for each in _json(observed[Answer(_tags(plan))] or b"").get("models") or ()
    }
    return [model["name"] for model in wanted(plan) if not is_made(model, ledger, there)]


def _names(plan: OllamaPlan) -> set[str]:
    return {model.model for model in plan.models}


def send(plan: OllamaPlan, observed: Observation) -> Commands:
    """Give the server the files of this machine that models are made of and that it lacks."""
    unmade = _unmade(plan, observed)
    files = [path for each in plan.models if each.model in unmade for path in _files(each)]
    for path in dict.fromkeys(files):
        if not observed[Exists(_blob(plan, path))]:
            url = f"{http(plan.listen, plan.port)}/api/blobs/sha256:{digest(Path(path))}"
            yield from upload(Path(path), call("python3", "-c", PROGRAM, "give", url))


def make(plan: OllamaPlan) -> Commands:
    """Pull, create and remove, with the progress on the terminal."""
    command = call("python3", "-c", PROGRAM, "make", http(plan.listen, plan.port), LEDGER)
    yield telling(command, json.dumps(wanted(plan)))


def hooks(plan: OllamaPlan) -> str:
    """Return the shell functions that have the models that are there answer, at ``$port``."""
    models = [{"name": model.model, "gpus": len(plan.devices)} for model in plan.models]
    return shell(
        HOOKS, program=PROGRAM, url=origin(plan.listen), models=json.dumps(models), ledger=LEDGER
    )


def _files(model: OllamaModelPlan) -> list[str]:
    """Return the files of this machine that a model is made of."""
    return [path for kind in FILES for path in model.recipe.get(kind, {}).values()]


def _name(model: OllamaModelPlan) -> str:
    """Return the name of the file that a model without a tag is made of."""
    [name] = model.recipe["files"]
    return str(name)


def _body(model: OllamaModelPlan) -> dict[str, Any]:
    """Return what /api/create is told, which calls files by their digests."""
    body = dict(model.recipe)
    for kind in FILES & body.keys():
        body[kind] = {name: f"sha256:{digest(Path(path))}" for name, path in body[kind].items()}
    return body


def _blob(plan: OllamaPlan, path: str) -> str:
    """Return where the server keeps a file that it was given."""
    return f"{plan.models_directory}/blobs/sha256-{digest(Path(path))}"


def _digest(model: OllamaModelPlan) -> str:
    said = json.dumps([_body(model), model.digest], sort_keys=True)
    return sha256(said.encode()).hexdigest()[:12]


def _tags(plan: OllamaPlan) -> str:
    return f"{http(plan.listen, plan.port)}/api/tags"


def _json(content: bytes) -> dict[str, Any]:
    """Return an object, empty where there is none that can be read."""
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
