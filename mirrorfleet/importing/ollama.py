"""Ollama: the variables of its server, its Modelfiles, and the models that gateways ask it for."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mirrorfleet.importing import gpus
from mirrorfleet.importing.draft import Draft, boolean, plain, whole
from mirrorfleet.importing.engine import HERE, Engine
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.hidden import Hidden, expanded
from mirrorfleet.importing.nodes import Node
from mirrorfleet.importing.parts import Part, Piece
from mirrorfleet.importing.sources import Source

NUMBERS = {
    "OLLAMA_NUM_PARALLEL": ("parallel", 1, 256),
    "OLLAMA_MAX_LOADED_MODELS": ("max_loaded_models", 1, 10**6),
    "OLLAMA_MAX_QUEUE": ("max_queue", 1, 10**6),
    "OLLAMA_CONTEXT_LENGTH": ("context", 4096, 10**8),
}
"""Variables with a number: the key of the fleet file, and its limits."""

KEYS = {
    "OLLAMA_KEEP_ALIVE": "keep_alive",
    "OLLAMA_FLASH_ATTENTION": "flash_attention",
    "OLLAMA_KV_CACHE_TYPE": "kv_cache_type",
    "OLLAMA_MODELS": "models_directory",
    "OLLAMA_HOST": "port, and the host's address",
}
"""Other variables with a key of the fleet file."""

DEFAULTS = {
    "parallel": 1,
    "keep_alive": "5m",
    "models_directory": "/var/lib/mirrorfleet/ollama/models",
}


def server(draft: Draft, entry: Node, variables: Mapping[str, Node]) -> Engine:
    """Read the environment of one Ollama."""
    found = Engine("ollama", entry, kind="ollama", ports={11434}, gpus=1)
    for name, node in variables.items():
        _variable(found, name, node)
    return found


def _variable(found: Engine, name: str, node: Node) -> None:
    text = (expanded(node.text) or "").strip()
    filled = Node(text, node.file, node.line, node.key)
    key = KEYS.get(name) or NUMBERS.get(name, ("",))[0]
    if isinstance(node.value, Hidden):
        found.drop(node, "Ollama's environment is the one of the fleet file")
    elif key and expanded(node.text) is None:
        found.drop(node, f"depends on a variable: write {key}", Fate.OPEN)
    elif name in NUMBERS:
        _, low, high = NUMBERS[name]
        number = whole(filled, low, high)
        if number is None:
            found.drop(node, f"{key} is a whole number from {low}")
        else:
            _set(found, key, number, node)
    elif name == "OLLAMA_KEEP_ALIVE" and (value := _duration(text)):
        _set(found, "keep_alive", value, node)
    elif name == "OLLAMA_FLASH_ATTENTION" and boolean(filled) is not None:
        _set(found, "flash_attention", boolean(filled), node)
    elif name == "OLLAMA_KV_CACHE_TYPE" and text in ("f16", "q8_0", "q4_0"):
        _set(found, "kv_cache_type", text, node)
    elif name == "OLLAMA_MODELS" and text.startswith("/"):
        _set(found, "models_directory", text, node)
    elif name == "OLLAMA_HOST" and (
        address := re.fullmatch(r"(?:https?://)?[\w.:\[\]-]*?(?::(\d{1,5}))?/?", text)
    ):
        port = int(address[1]) if address[1] else 11434
        found.ports = {port}
        host = re.sub(r"^https?://|:\d+/?$", "", text)
        found.address = "" if host in HERE else host.strip("[]")
        if port == 11434:
            found.drop(node, "it listens on the address of its host", Fate.DERIVED)
        else:
            _set(found, "port", port, node)
    elif name in gpus.VARIABLES:
        gpus.see(found, gpus.VARIABLES[name], [node])
    elif name in (
        "HOME",
        "OLLAMA_VULKAN",
        "OLLAMA_NO_CLOUD",
        "CUDA_DEVICE_ORDER",
        "NVIDIA_DRIVER_CAPABILITIES",
        "PATH",
    ):
        found.drop(node, "Mirrorfleet sets it", Fate.DERIVED)
    elif name.startswith("OLLAMA_"):
        found.drop(node, "Ollama's environment is the one of the fleet file")
    else:
        found.drop(node, "not a variable of Ollama's server")


def _set(found: Engine, key: str, value: object, node: Node) -> None:
    if DEFAULTS.get(key) == value:
        found.drop(node, "the default of the fleet file", Fate.DERIVED)
    else:
        found.set(key, value, node)


def unnamed(found: Engine) -> Piece:
    """Return a model for a server of which no model is known, so that its options have a place."""
    piece = Piece("ollama", found.entry)
    model(found, "ollama", "", piece)
    del piece.data["weights"]
    piece.ask("weights", "placeholder", "the tag of a model on this Ollama, such as qwen3:4b")
    return piece


def _duration(text: str) -> str:
    """Return `keep_alive` as the fleet file has it; empty if it has another form."""
    if re.fullmatch(r"-\d+[smh]?", text):
        return "-1"
    if re.fullmatch(r"\d+", text):
        return f"{text}s"
    return text if re.fullmatch(r"\d+[smh]", text) else ""


def model(found: Engine, name: str, tag: str, piece: Piece) -> Piece:
    """Return a model of a server, with the options of the server unless another model has them."""
    piece.data = {"engine": "ollama", "weights": tag, "hosts": [found.machine]}
    if found.data or found.parts:
        piece.data |= found.data
        piece.parts += found.parts
        found.data, found.parts = {}, []
    piece.name = name
    return piece


def own_model(found: Engine, piece: Piece) -> None:
    """Make ``piece`` a model of a server that Mirrorfleet runs: its entry has the weights.

    Ollama stores it under its name in the fleet. Weights of a Modelfile or of a pushed store have
    the digest of a file that no host has.
    """
    node = piece.entry.get("model_info", "mirrorfleet_weights")
    tag, _, digest = (node.text if node else "").partition("@")
    model(found, piece.name, tag, piece)
    if digest:
        piece.data["digest"] = digest
    if not tag or re.fullmatch("[0-9a-f]{12}", tag):
        del piece.data["weights"]
        piece.ask(
            "weights", "MODEL", "the tag of the model, or {modelfile: FILE}, or {push: STORE}"
        )


def modelfile(draft: Draft, source: Source) -> Piece | None:
    """Read a Modelfile. It is used as it is, unless it sets the window."""
    instructions = source.tree.items
    base = next(iter(instructions["FROM"].list), None) if "FROM" in instructions else None
    if base is None or not base.text:
        draft.leave(source.tree, "a Modelfile needs FROM with a tag or a GGUF file", Fate.OPEN)
        return None
    name = source.path.name.lower().replace("modelfile", "").strip(".-_")
    found = Piece(plain(name or base.text.rpartition("/")[2]), source.tree)
    window = instructions.get("PARAMETER num_ctx")
    others = set(instructions) - {"FROM", "PARAMETER num_ctx"}
    weights: object = base.text
    if others or base.text.startswith((".", "/", "~")) or base.text.endswith(".gguf"):
        if window is None:
            weights = {"modelfile": str(source.path)}
        else:
            question = (
                f"remove `PARAMETER num_ctx` from {source.path.name}, and write "
                f"{{modelfile: {source.path.name}}}"
            )
            found.ask("weights", base.text if "/" not in base.text[:1] else "MODEL", question)
    if "weights" not in found.data:
        found.data["weights"] = weights
    for instruction, node in instructions.items():
        for leaf in node.list:
            if instruction == "PARAMETER num_ctx" and (number := whole(leaf, 4096)):
                found.set("context", number, leaf)
            else:
                found.parts.append(Part(leaf, ("weights",), Fate.TAKEN, "with the Modelfile"))
    return found


def finish(piece: Piece) -> None:
    """Ask for the window, which Ollama cuts prompts at, and add the length of answers."""
    piece.ask("context", 65536, "the context window in tokens (Ollama's num_ctx)")
    piece.default("output", min(8192, piece.data["context"] // 4), "the longest answer")
