"""The models of a host's Ollama: which there are, which were made by us, and how they are made."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from fleet.plan import OllamaModelPlan, OllamaPlan, http
from roles.host.commands import Commands, telling
from roles.host.observe import Observation, Question
from roles.host.places import ROOT
from roles.host.report import Change
from roles.ollama.files.keeper import full, is_made

LEDGER = f"{ROOT}/ollama/models.json"
"""What was made by us. Root's, and not the server's: a service does not say what may be removed."""

PROGRAM = (Path(__file__).parent / "files" / "keeper.py").read_text(encoding="utf-8")


def questions(plan: OllamaPlan) -> list[Question]:
    """What must be known of the models: the ledger, and what the server has."""
    return [("content", LEDGER), ("answer", _tags(plan))]


def wanted(plan: OllamaPlan) -> list[dict[str, Any]]:
    """Return the models as keeper.py reads them."""
    return [
        {
            "name": model.model,
            "tag": model.tag,
            "digest": model.digest,
            "context": model.context,
            "body": dict(model.recipe),
            "recipe": _digest(model),
        }
        for model in plan.models
    ]


def changes(plan: OllamaPlan, seen: Observation) -> Iterator[Change]:
    """Yield the models that will be made or removed."""
    ledger = _json(seen.contents.get(LEDGER, b""))
    there = {
        full(each["name"]): each["digest"]
        for each in _json(seen.answers.get(_tags(plan), b"")).get("models") or ()
    }
    models = {model["name"]: model for model in wanted(plan)}
    for name, model in models.items():
        if not is_made(model, ledger, there):
            yield Change(f"ollama: model {name} is not as it should be")
    for name in sorted(ledger.keys() - models.keys()):
        yield Change(f"ollama: model {name} will be removed")


def make(plan: OllamaPlan) -> Commands:
    """Pull, create and remove, with the progress on the terminal."""
    command = shlex.join(["python3", "-c", PROGRAM, "make", http(plan.listen, plan.port), LEDGER])
    yield telling(command, json.dumps(wanted(plan)))


def proof(plan: OllamaPlan) -> str:
    """Return a command that has the models that are there answer, at ``$port``."""
    names = json.dumps([{"name": model.model} for model in plan.models])
    return (
        f"printf %s {shlex.quote(names)} | python3 -c {shlex.quote(PROGRAM)} prove "
        f'"{http(plan.listen, "$port")}" {LEDGER}'
    )


def _digest(model: OllamaModelPlan) -> str:
    said = json.dumps([model.recipe, model.digest], sort_keys=True)
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
