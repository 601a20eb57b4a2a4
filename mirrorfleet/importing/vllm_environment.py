"""The environment variables of a vLLM."""

from __future__ import annotations

from mirrorfleet.checks.vllm.environment import NAMES
from mirrorfleet.data import table
from mirrorfleet.importing import gpus
from mirrorfleet.importing.draft import Draft
from mirrorfleet.importing.engine import Engine
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.hidden import Hidden, expanded, referred
from mirrorfleet.importing.nodes import Node
from mirrorfleet.importing.parts import Part
from mirrorfleet.importing.releases import VLLM

SHELL = ("CONDA", "VIRTUAL_ENV", "PYTHON", "LANG", "LC_", "TZ", "USER", "SHELL", "TERM", "XDG_")
"""Prefixes of variables of the shell or container that started the engine."""


def variable(found: Engine, draft: Draft, name: str, node: Node) -> None:
    derived = table("vllm_environment")["derived"]
    why = next(
        (
            each
            for prefix, each in derived.items()
            if name == prefix or (prefix[-1] == "_" and name.startswith(prefix))
        ),
        "",
    )
    if name == "VLLM_API_KEY" and "api_key" not in found.data:
        named = referred(node.value)
        value = (
            {"env": named}
            if named
            else draft.reference(node.value, name)
            if isinstance(node.value, Hidden)
            else None
        )
        if value:
            found.set("api_key", value, node)
        else:
            found.drop(node, "is empty")
    elif name in gpus.VARIABLES:
        gpus.see(found, gpus.VARIABLES[name], [node])
    elif name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if draft.get("hub", "token") is None:
            draft.put(("hub", "token"), {"env": referred(node.value) or "HF_TOKEN"})
        if isinstance(node.value, Hidden):
            draft.variables.setdefault(node.value.number, "HF_TOKEN")
            draft.secret(node, ("hub", "token"), "set the variable HF_TOKEN")
        else:
            draft.settle(node, ("hub", "token"))
    elif NAMES.search(name):
        found.drop(node, "a secret of another service")
    elif name.startswith(SHELL):
        found.drop(node, "the engine has a Python environment of its own", Fate.DERIVED)
    elif why or name == "NVIDIA_DRIVER_CAPABILITIES":
        found.drop(node, why or "a variable of the container", Fate.DERIVED)
    elif name.startswith("VLLM_") and name not in table(f"vllm_known/{VLLM}")["variables"]:
        found.drop(node, f"vLLM {VLLM} has no variable of this name")
    elif name.startswith(("HF_", "HUGGINGFACE_", "TRANSFORMERS_")):
        found.drop(node, "weights are downloaded before the engine starts")
    else:
        text = None if isinstance(node.value, Hidden) else expanded(node.text)
        if text:
            found.data.setdefault("environment", {})[name] = text
            found.parts.append(Part(node, ("environment", name)))
        else:
            secret = isinstance(node.value, Hidden)
            found.drop(node, "is secret" if secret else "is empty or depends on a variable")
