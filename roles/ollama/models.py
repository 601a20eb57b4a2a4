"""The models of a host's Ollama: which the host has, which runs created, and how."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from mirrorfleet.planning import http, origin
from mirrorfleet.planning.ollama import OllamaModelPlan, OllamaPlan
from mirrorfleet.roles.ollama.files.model_manager import full, is_made
from mirrorfleet.runtime.commands import Commands, visible_script
from mirrorfleet.runtime.digests import digest
from mirrorfleet.runtime.facts import Answer, Content, Exists, Fact
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.shell import call, shell
from mirrorfleet.runtime.upload import upload

LEDGER = f"{ROOT}/ollama/models.json"
"""The models that runs created. Root owns the file: the service must not decide what is removed."""

FILES = {"files", "adapters"}
"""The keys of a recipe that name files of this machine."""

HOOKS = Path(__file__).parent / "files" / "hooks.sh"
PROGRAM = (Path(__file__).parent / "files" / "model_manager.py").read_text(encoding="utf-8")


def facts(plan: OllamaPlan) -> list[Fact[Any]]:
    """Return the facts about the models: the ledger, and the models and files of the server."""
    blobs = (Exists(_blob(plan, path)) for model in plan.models for path in _files(model))
    return [Content(LEDGER), Answer(_tags(plan)), *blobs]


def desired(plan: OllamaPlan) -> list[dict[str, Any]]:
    """Return the models in the format that model_manager.py reads."""
    return [
        {
            "name": model.model,
            # The server's name for the weights: models with the same name share them in memory.
            "tag": model.tag or _body(model)["files"][_name(model)],
            "source": model.tag or _name(model),
            "digest": model.digest,
            "context": model.context,
            "gpus": len(plan.devices),
            "abilities": dict(model.own_abilities),
            "body": _body(model),
            "recipe": _digest(model),
        }
        for model in plan.models
    ]


def changes(plan: OllamaPlan, observed: Observation) -> Iterator[Change]:
    """Yield the models that will be created or removed."""
    for name in _outdated(plan, observed):
        yield Change(f"ollama: model {name} is missing or differs")
    for name in sorted(_json(observed[Content(LEDGER)] or b"").keys() - _names(plan)):
        yield Change(f"ollama: model {name} will be removed")


def _outdated(plan: OllamaPlan, observed: Observation) -> list[str]:
    """Return the models that the server does not have as desired."""
    ledger = _json(observed[Content(LEDGER)] or b"")
    present = {
        full(model["name"]): model["digest"]
        for model in _json(observed[Answer(_tags(plan))] or b"").get("models") or ()
    }
    return [model["name"] for model in desired(plan) if not is_made(model, ledger, present)]


def _names(plan: OllamaPlan) -> set[str]:
    return {model.model for model in plan.models}


def send(plan: OllamaPlan, observed: Observation) -> Commands:
    """Send the files of this machine from which the server creates models, unless it has them."""
    outdated = _outdated(plan, observed)
    files = [path for model in plan.models if model.model in outdated for path in _files(model)]
    for path in dict.fromkeys(files):
        if not observed[Exists(_blob(plan, path))]:
            url = f"{http(plan.listen, plan.port)}/api/blobs/sha256:{digest(Path(path))}"
            yield from upload(Path(path), call("python3", "-c", PROGRAM, "give", url))


def make(plan: OllamaPlan) -> Commands:
    """Pull, create and remove models, with the progress on the terminal."""
    command = call("python3", "-c", PROGRAM, "make", http(plan.listen, plan.port), LEDGER)
    yield visible_script(command, json.dumps(desired(plan)))


def hooks(plan: OllamaPlan) -> str:
    """Return the shell functions that check whether the present models answer at ``$port``."""
    models = [
        {
            "name": model.model,
            "gpus": len(plan.devices),
            **({"abilities": dict(model.own_abilities)} if model.own_abilities else {}),
        }
        for model in plan.models
    ]
    return shell(
        HOOKS, program=PROGRAM, url=origin(plan.listen), models=json.dumps(models), ledger=LEDGER
    )


def _files(model: OllamaModelPlan) -> list[str]:
    """Return the files of this machine from which a model is created."""
    return [path for kind in FILES for path in model.recipe.get(kind, {}).values()]


def _name(model: OllamaModelPlan) -> str:
    """Return the name of the one file from which a model without a tag is created."""
    [name] = model.recipe["files"]
    return str(name)


def _body(model: OllamaModelPlan) -> dict[str, Any]:
    """Return the body for /api/create, with files by their digests."""
    body = dict(model.recipe)
    for kind in FILES & body.keys():
        body[kind] = {name: f"sha256:{digest(Path(path))}" for name, path in body[kind].items()}
    return body


def _blob(plan: OllamaPlan, path: str) -> str:
    """Return the path at which the server stores a file."""
    return f"{plan.models_directory}/blobs/sha256-{digest(Path(path))}"


def _digest(model: OllamaModelPlan) -> str:
    # Other abilities in the fleet file: the server is asked again.
    own = [dict(model.own_abilities)] if model.own_abilities else []
    recipe = json.dumps([_body(model), model.digest, *own], sort_keys=True)
    return sha256(recipe.encode()).hexdigest()[:12]


def _tags(plan: OllamaPlan) -> str:
    return f"{http(plan.listen, plan.port)}/api/tags"


def _json(content: bytes) -> dict[str, Any]:
    """Return a JSON object, empty for anything else."""
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
