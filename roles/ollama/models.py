"""The models of a host's Ollama: which the host has, which runs created, and how."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from mirrorfleet.config import ollama_store
from mirrorfleet.planning import http, origin
from mirrorfleet.planning.ollama import OllamaModelPlan, OllamaPlan
from mirrorfleet.roles import proof
from mirrorfleet.roles.ollama import blobs
from mirrorfleet.roles.ollama.remedies import remedies
from mirrorfleet.roles.proof.remedies import expectations
from mirrorfleet.runtime.commands import Commands, visible_script
from mirrorfleet.runtime.digests import digest
from mirrorfleet.runtime.facts import Answer, Content, Fact
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.program import program
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.shell import call, shell

LEDGER = f"{ROOT}/ollama/models.json"
"""The models that runs created. Root owns the file: the service must not decide what is removed."""

PULLED = f"{ROOT}/ollama/pulled.json"
"""The tags that runs brought: deploys/remove_weights.py removes those that no model needs."""

BOUNDS = {"tries": 1, "room": 512, "forces": False}
"""Bounds of a session: a server without GPUs is slow, and Ollama ignores ``tool_choice``."""

HERE = Path(__file__).parent / "files"
HOOKS = HERE / "hooks.sh"
PACKAGE = "mirrorfleet.roles.ollama.files"
MODULES = ("ollama_server.py", "model_ledger.py", "model_proof.py", "pushed_store.py")


@cache
def quiet() -> str:
    """Return the program that waits for the end of a server's answers."""
    return program(PACKAGE, HERE / "quiet.py")


@cache
def manager() -> str:
    """Return the program that creates and removes models on a host."""
    modules = (HERE / name for name in MODULES)
    return proof.program(HERE / "model_manager.py", *modules, package=PACKAGE)


def facts(plan: OllamaPlan) -> list[Fact[Any]]:
    """Return the facts about the models: the ledger, and the models and files of the server."""
    return [Content(LEDGER), Answer(_tags(plan)), *blobs.facts(plan)]


def desired(plan: OllamaPlan) -> list[dict[str, Any]]:
    """Return the models in the format that model_manager.py reads."""
    return [
        {
            "name": model.model,
            # The server's name for the weights: models with the same name share them in memory.
            "tag": model.tag or _body(model)["files"][_name(model)],
            "source": model.tag or _name(model),
            "digest": model.digest,
            "plain_http": bool(model.plain_http),
            "manifest": _manifest(model),
            "context": model.context,
            "gpus": len(plan.devices),
            "abilities": dict(model.own_abilities),
            "body": _body(model),
            "recipe": _digest(model),
            "session": _session(model),
        }
        for model in plan.models
    ]


def _session(model: OllamaModelPlan) -> dict[str, Any]:
    """Return what a session expects of a model."""
    known = remedies(model.model, model.proof)
    return expectations(model.proof, known) | BOUNDS


def changes(plan: OllamaPlan, observed: Observation) -> Iterator[Change]:
    """Yield the models that will be created or removed."""
    for name in _outdated(plan, observed):
        yield Change(f"ollama: model {name} is missing or differs")
    for name in sorted(_json(observed[Content(LEDGER)] or b"").keys() - _names(plan)):
        yield Change(f"ollama: model {name} will be removed")


def _outdated(plan: OllamaPlan, observed: Observation) -> list[str]:
    """Return the models that the server does not have as desired."""
    if not plan.models:
        return []
    # The program of hosts, with the HTTP client and server of the standard library.
    from mirrorfleet.roles.ollama.files.model_manager import is_made
    from mirrorfleet.roles.ollama.files.ollama_server import full

    ledger = _json(observed[Content(LEDGER)] or b"")
    present = {
        full(model["name"]): model["digest"]
        for model in _json(observed[Answer(_tags(plan))] or b"").get("models") or ()
    }
    return [model["name"] for model in desired(plan) if not is_made(model, ledger, present)]


def _names(plan: OllamaPlan) -> set[str]:
    return {model.model for model in plan.models}


def send(plan: OllamaPlan, observed: Observation) -> Commands:
    """Send the files of this machine that missing models need, unless the server has them."""
    yield from blobs.send(plan, outdated(plan, observed), observed, manager())


def outdated(plan: OllamaPlan, observed: Observation) -> list[OllamaModelPlan]:
    """Return the models that the server does not have as desired."""
    names = _outdated(plan, observed)
    return [model for model in plan.models if model.model in names]


def make(plan: OllamaPlan) -> Commands:
    """Pull, create and remove models, with the progress on the terminal."""
    command = call("python3", "-c", manager(), "make", http(plan.listen, plan.port), LEDGER)
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
        HOOKS,
        program=manager(),
        quiet=quiet(),
        url=origin(plan.listen),
        models=json.dumps(models),
        ledger=LEDGER,
        wait=plan.restart_wait,
    )


def _manifest(model: OllamaModelPlan) -> str | None:
    """Return the manifest of a model that this machine has; ``None`` for others."""
    if model.store is None:
        return None
    return ollama_store.read(Path(model.store), model.tag).manifest


def _name(model: OllamaModelPlan) -> str:
    """Return the name of the one file from which a model without a tag is created."""
    [name] = model.recipe["files"]
    return str(name)


def _body(model: OllamaModelPlan) -> dict[str, Any]:
    """Return the body for /api/create, with files by their digests."""
    body = dict(model.recipe)
    for kind in blobs.FILES & body.keys():
        body[kind] = {name: f"sha256:{digest(Path(path))}" for name, path in body[kind].items()}
    return body


def _digest(model: OllamaModelPlan) -> str:
    # Other abilities in the fleet file: the server is asked again.
    own = [dict(model.own_abilities)] if model.own_abilities else []
    recipe = json.dumps([_body(model), model.digest, *own], sort_keys=True)
    return sha256(recipe.encode()).hexdigest()[:12]


def _tags(plan: OllamaPlan) -> str:
    return f"{http(plan.listen, plan.port)}/api/tags"


def record(content: bytes | None) -> dict[str, dict[str, Any]]:
    """Return a record of models by name, empty for anything else."""
    found = _json(content or b"")
    return {name: entry for name, entry in found.items() if isinstance(entry, dict)}


def _json(content: bytes) -> dict[str, Any]:
    """Return a JSON object, empty for anything else."""
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
