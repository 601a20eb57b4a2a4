"""The proof that a model answers Claude Code: a module of model_manager.py."""

from __future__ import annotations

import json

from mirrorfleet.roles.ollama.files.ollama_server import Failure, Model, Server, full, report

TOO_LARGE = "The GPUs have no memory for the rest: choose smaller weights or a smaller context."

UNUSED = (
    "Ollama uses none of its {} GPUs of the fleet file: run nvidia-smi on the host, and "
    "`journalctl -u mirrorfleet-ollama | grep -i gpu` for the reason."
)

TOOL = {
    "name": "read",
    "description": "Read a file.",
    "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}},
}


def prove(server: Server, model: Model, current: str, context: int, names: set[str]) -> None:
    """Test a model with requests as of Claude Code, streamed and not, and compare its window.

    ``current`` is its name on the server, ``names`` are those that the server may report for its
    weights. A model with ``tools: false`` gets none. Raises ``Failure``.
    """
    name, gpus = model["name"], model["gpus"]
    request = {
        "model": current,
        "max_tokens": 16,
        "messages": [{"role": "user", "content": "Hello"}],
        **({} if model.get("abilities", {}).get("tools") is False else {"tools": [TOOL]}),
    }
    try:
        with server.request("POST", "/v1/messages", request) as response:
            kind = json.load(response).get("type")
        with server.request("POST", "/v1/messages", {**request, "stream": True}) as response:
            events = [line.decode().strip() for line in response if line.startswith(b"event:")]
    except Failure as failure:
        if "does not support tools" in str(failure):
            raise Failure(
                f"{name}: does not support tools, which Claude Code sends with every request "
                f"('{failure}'). Choose weights with tool support, or write tools: false."
            ) from None
        raise Failure(f"{name}: does not answer: {failure}") from None
    if kind != "message" or not events or events[-1] != "event: message_stop":
        raise Failure(
            f"{name}: answers /v1/messages in a form that Claude Code cannot use. Choose another "
            "version of Ollama."
        )
    digest = server.digests().get(full(current))
    loaded = server.loaded()
    live = [entry for entry in loaded if entry.get("digest") == digest]
    # The server lists the model of the last request first.
    live = live or [entry for entry in loaded if full(entry["name"]) in names]
    compare(name, context, gpus, live)


def compare(name: str, context: int, gpus: int, loaded: list[Model]) -> None:
    """Compare the window of the loaded model with the declared one. Raises ``Failure``."""
    if not loaded:
        raise Failure(
            f"{name}: is not in memory directly after its answer, so its window is unknown. "
            "Set a longer keep_alive."
        )
    live = loaded[0]
    window = live.get("context_length")
    if window != context:
        remedy = f"Set context: {window}"
        if (window or 0) < context:
            remedy += ", or choose weights that were trained for a larger window"
        raise Failure(
            f"{name}: has a window of {window}, but the fleet file has context {context}: Ollama "
            f"would cut prompts silently. {remedy}."
        )
    size = live.get("size", 0)
    outside = size - live.get("size_vram", 0)
    if gpus and outside:
        share = f"{outside / 1e9:.1f} of its {size / 1e9:.1f} GB are not on a GPU, so it is slow"
        report(name, f"warning: {share}. {TOO_LARGE if outside < size else UNUSED.format(gpus)}")


def compare_abilities(server: Server, model: Model, current: str) -> None:
    """Compare the abilities in the fleet file with the server's. Raises ``Failure``."""
    with server.request("POST", "/api/show", {"model": current}) as response:
        reported = json.load(response).get("capabilities")
    if reported is None:
        return  # an old server
    name, own = model["name"], model.get("abilities", {})
    for ability, can in (("vision", "reads images"), ("thinking", "thinks")):
        has = ability in reported
        value = own.get(ability)
        if value is not None and value != has:
            instead = "Remove it" if value else f"Remove it, or write {ability}: true"
            raise Failure(
                f"{name}: the fleet file has {ability}: {json.dumps(value)}, but Ollama reports "
                f"that the model {can if has else 'has no such ability'}. {instead}."
            )
        if has and value is None and ability == "vision":
            report(name, f"warning: it {can}, but the gateway removes them. Write vision: true.")
