"""Create and remove the models of an Ollama server as the fleet file says, and test them.

Runs on the host, as root, with the distribution's python3 and its standard library only:

    model_manager.py make|prove URL LEDGER <models.json
    model_manager.py give URL/api/blobs/DIGEST     send the file `upload`, unless the server has it

LEDGER records the models that this program created: by name, the digest of their recipe, the
server's digest of their content, their tag and their window. It never removes another model.

The shell passes this program to Python as text, so it is one file.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

CANDIDATE = "mirrorfleet/"
"""The namespace of a new model, until it has passed its test and gets its own name."""

LOADING = 900
"""Maximum seconds without data: the server reads a large model from disk before it answers."""

NEVER = 78
"""Exit status if waiting does not help. While the server starts, it is 1."""

INTERVAL = 5
"""Seconds between two lines of progress."""

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

Model = dict[str, Any]
Ledger = dict[str, dict[str, Any]]

# Without a proxy: the server is on this host.
_open = build_opener(ProxyHandler({})).open


class Failure(Exception):
    """A failure with its remedy, for the operator."""


class Server:
    """The requests of this program to Ollama."""

    def __init__(self, url: str) -> None:
        self.url = url

    @contextmanager
    def request(self, method: str, path: str, body: Any = None) -> Iterator[Any]:
        """Yield the response. Raises ``Failure`` with the error, ``OSError`` if it is busy."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, data, {"Content-Type": "application/json"})
        request.method = method
        try:
            with _open(request, timeout=LOADING) as response:
                yield response
        except HTTPError as error:
            text = error.read().decode(errors="replace").strip()
            if error.code == 503:
                raise OSError(f"it is busy: {text}") from None
            raise Failure(_reason(text) or f"{path} failed with status {error.code}") from None

    def get(self, path: str) -> Any:
        """Return the JSON at a path."""
        with self.request("GET", path) as response:
            return json.load(response)

    def stream(self, path: str, body: Model) -> Iterator[Model]:
        """Yield the events of a response. Raises ``Failure`` unless the last one is a success."""
        with self.request("POST", path, body) as response:
            status = ""
            for line in response:
                event = json.loads(line)
                if "error" in event:
                    # Ollama has sent the status 200 already.
                    raise Failure(_reason(line.decode()))
                status = event.get("status", status)
                yield event
        if status != "success":
            raise Failure(f"the response of {path} ended during '{status}'")

    def digests(self) -> dict[str, str]:
        """Return the digest of each model on the server, by its full name."""
        models = self.get("/api/tags")["models"] or ()
        return {full(model["name"]): model["digest"] for model in models}

    def remove(self, name: str) -> None:
        """Remove a model."""
        with self.request("DELETE", "/api/delete", {"model": name, "name": name}):
            pass

    def rename(self, name: str, to: str) -> None:
        """Rename a model; it replaces a model with the new name."""
        with self.request("POST", "/api/copy", {"source": name, "destination": to}):
            pass
        self.remove(name)


def _reason(text: str) -> str:
    """Return the message of an error in Ollama's or Anthropic's form."""
    try:
        error = json.loads(text)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return text[-300:]


def full(name: str) -> str:
    """Return a model's full name in lower case: the server shortens names, and ignores case."""
    name = name.lower().removeprefix("registry.ollama.ai/").removeprefix("library/")
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def make(server: Server, desired: list[Model], path: str) -> None:
    """Create missing and changed models, and remove those that are no longer desired.

    A model serves until its replacement has passed its test.
    """
    ledger, present = read(path), server.digests()
    for leftover in (name for name in present if name.startswith(CANDIDATE)):
        server.remove(leftover)
    for model in desired:
        name = model["name"]
        if is_made(model, ledger, present):
            continue
        if "from" in model["body"] and not has_digest(model, present.get(full(model["tag"]))):
            pull(server, name, model["tag"])
            check_digest(model, server.digests().get(full(model["tag"])))
        create(server, model, names_of_weights(model["tag"], desired, ledger))
        present = server.digests()
        ledger[name] = {
            "recipe": model["recipe"],
            "digest": present[full(name)],
            "tag": model["tag"],
            "context": model["context"],
        }
        write(path, ledger)
    for name in ledger.keys() - {model["name"] for model in desired}:
        if full(name) in present:
            server.remove(name)
        report(name, "removed; the weights that were pulled for it stay")
        del ledger[name]
        write(path, ledger)


def is_made(model: Model, ledger: Ledger, present: dict[str, str]) -> bool:
    """Return whether a model was created by its current recipe, and is unchanged."""
    entry = ledger.get(model["name"], {})
    return entry.get("recipe") == model["recipe"] and is_unchanged(model["name"], ledger, present)


def is_unchanged(name: str, ledger: Ledger, present: dict[str, str]) -> bool:
    """Return whether the server still has the model that this program created."""
    return name in ledger and present.get(full(name)) == ledger[name].get("digest")


def pull(server: Server, name: str, tag: str) -> None:
    """Pull a tag, and print the progress every few seconds."""
    sizes: dict[str, tuple[int, int]] = {}
    reported, at = "", 0.0
    try:
        for event in server.stream("/api/pull", {"model": tag}):
            status, amount = event.get("status", ""), ""
            if event.get("total"):
                sizes[event["digest"]] = (event.get("completed", 0), event["total"])
                amount = progress(sizes)
            if status != reported or time.monotonic() - at >= INTERVAL:
                report(name, f"{tag}: {status}{amount}")
                reported, at = status, time.monotonic()
    except Failure as failure:
        remedy = "Check that this host reaches the registry, and that its disk has free space."
        if "file does not exist" in str(failure):
            remedy = "The registry does not have this tag: correct the weights."
        raise Failure(f"{name}: {tag} cannot be pulled: {failure}. {remedy}") from None


def progress(sizes: dict[str, tuple[int, int]]) -> str:
    """Return the progress of all layers that the server has reported."""
    done, total = (sum(size[at] for size in sizes.values()) for at in (0, 1))
    return f", {done / 1e9:.2f} of {total / 1e9:.2f} GB ({100 * done // total}%)"


def has_digest(model: Model, digest: str | None) -> bool:
    """Return whether a pulled tag has the configured digest; without one, any digest is right."""
    return digest is not None and model["digest"] in (None, digest.removeprefix("sha256:"))


def check_digest(model: Model, digest: str | None) -> None:
    """Check the digest of a pulled tag. Raises ``Failure``."""
    if not has_digest(model, digest):
        raise Failure(
            f"{model['name']}: the digest of {model['tag']} is {digest}, but the fleet file has "
            f"{model['digest']}: the tag has moved. Review the change, then set the new digest."
        )


def names_of_weights(tag: str, desired: list[Model], ledger: Ledger) -> set[str]:
    """Return all names that the server may report for the loaded weights of a tag.

    It loads weights once for all models with the same window, and reports the name of the model
    that was requested first.
    """
    made = {name for name, entry in ledger.items() if entry.get("tag") == tag}
    made.update(model["name"] for model in desired if model["tag"] == tag)
    return {full(name) for name in (tag, *made, *(CANDIDATE + name for name in made))}


def create(server: Server, model: Model, names: set[str]) -> None:
    """Create a model under another name, test it, then give it its own name. Raises ``Failure``."""
    report(model["name"], f"created from {model['source']}, window {model['context']}")
    name, candidate = model["name"], CANDIDATE + model["name"]
    try:
        for _ in server.stream("/api/create", {**model["body"], "model": candidate}):
            pass
    except Failure as failure:
        raise Failure(f"{name}: cannot be created from {model['source']}: {failure}") from None
    try:
        prove(server, model, candidate, model["context"], names)
        compare_abilities(server, model, candidate)
    except BaseException:
        with suppress(Failure, OSError):
            server.remove(candidate)
        raise
    server.rename(candidate, name)


def prove_all(server: Server, desired: list[Model], path: str) -> None:
    """Test all unchanged models, which a new server must serve as well. Raises ``Failure``."""
    ledger, present = read(path), server.digests()
    for model in desired:
        name = model["name"]
        if is_unchanged(name, ledger, present):
            entry = ledger[name]
            names = names_of_weights(entry["tag"], [], ledger)
            prove(server, model, name, entry["context"], names)


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
    loaded = server.get("/api/ps")["models"] or ()
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


def read(path: str) -> Ledger:
    """Return the ledger; an unreadable one counts as empty."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            ledger = json.load(file)
    except (OSError, ValueError):
        return {}
    return ledger if isinstance(ledger, dict) else {}


def write(path: str, ledger: Ledger) -> None:
    """Replace the ledger atomically."""
    with open(f"{path}.new", "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(ledger, file, indent=1, sort_keys=True)
        file.write("\n")
    os.replace(f"{path}.new", path)  # noqa: PTH105


def report(name: str, text: str) -> None:
    """Print a line about a model."""
    print(f"{name}: {text}", flush=True)


def give(url: str, path: str) -> int:
    """Send a file to the server, which checks its digest; return the exit status."""
    try:
        with _open(Request(url, method="HEAD"), timeout=LOADING):
            return 0
    except HTTPError as error:
        if error.code != 404:
            print(f"{url} failed with status {error.code}", file=sys.stderr)
            return 1
    headers = {"Content-Type": "application/octet-stream", "Content-Length": size(path)}
    try:
        with (
            open(path, "rb") as file,  # noqa: PTH123
            _open(Request(url, file, headers, method="POST"), timeout=LOADING),
        ):
            return 0
    except HTTPError as error:
        reason = _reason(error.read().decode(errors="replace"))
        print(f"Ollama rejects the file: {reason}", file=sys.stderr)
    except OSError as error:
        print(f"Ollama rejects the file: {error}. Check the space on its disk.", file=sys.stderr)
    return 1


def size(path: str) -> str:
    """Return the size of a file in bytes, as a header."""
    return str(os.stat(path).st_size)  # noqa: PTH116


def main(mode: str, url: str, path: str) -> int:
    """Create or test the models on standard input, and return the exit status."""
    desired = json.load(sys.stdin)
    try:
        (make if mode == "make" else prove_all)(Server(url), desired, path)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return NEVER
    except (OSError, HTTPException, ValueError) as error:
        if mode == "make":
            print(f"Ollama at {url} does not answer: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(give(sys.argv[2], "upload") if sys.argv[1] == "give" else main(*sys.argv[1:]))
