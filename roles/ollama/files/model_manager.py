"""Make the models of an Ollama server what the fleet wants, and prove that they serve.

Runs on the host, as root, with the distribution's python3 and nothing else:

    model_manager.py make|prove URL LEDGER <wanted.json
    model_manager.py give URL/api/blobs/DIGEST     the file `upload` here, if the server lacks it

LEDGER remembers the models that were made here: by their names, which recipe they were made by,
what the server then called their content, and their window. No other model is ever removed.
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
"""A model is made in this namespace, and gets its own name when it has proved that it serves."""

LOADING = 900
"""Seconds without a byte: a large model is read from the disk before it answers."""

NEVER = 78
"""How the program ends when waiting will not help. While the server starts, it ends with 1."""

TOLD = 5
"""Seconds between two lines of progress."""

FITS = "The GPUs have no room for the rest: choose smaller weights or a smaller context."

UNUSED = (
    "Ollama uses none of the {} GPUs that the fleet file gives it: run nvidia-smi on the host, and "
    "`journalctl -u mirrorfleet-ollama | grep -i gpu` for the reason."
)

TOOL = {
    "name": "look",
    "description": "Look at a file.",
    "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}},
}

Model = dict[str, Any]
Ledger = dict[str, dict[str, Any]]

# The server is on this machine, whatever proxy the machine uses.
_open = build_opener(ProxyHandler({})).open


class Failure(Exception):
    """What is wrong and what to do; the text goes to the person at the terminal."""


class Server:
    """Ollama's API, as far as it is needed here."""

    def __init__(self, url: str) -> None:
        self.url = url

    @contextmanager
    def request(self, method: str, path: str, body: Any = None) -> Iterator[Any]:
        """Yield the answer. Raises ``Failure`` with what the server says when it refuses."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, data, {"Content-Type": "application/json"})
        request.method = method
        try:
            with _open(request, timeout=LOADING) as answer:
                yield answer
        except HTTPError as error:
            said = error.read().decode(errors="replace").strip()
            if error.code == 503:
                raise OSError(f"it is busy: {said}") from None
            raise Failure(_reason(said) or f"{path} ended with {error.code}") from None

    def get(self, path: str) -> Any:
        with self.request("GET", path) as answer:
            return json.load(answer)

    def stream(self, path: str, body: Model) -> Iterator[Model]:
        """Yield each line. It has been done when the last one says so, and not otherwise."""
        with self.request("POST", path, body) as answer:
            status = ""
            for line in answer:
                said = json.loads(line)
                if "error" in said:
                    # Ollama has answered 200 by then.
                    raise Failure(_reason(line.decode()))
                status = said.get("status", status)
                yield said
        if status != "success":
            raise Failure(f"{path} ended in the middle of '{status}'")

    def digests(self) -> dict[str, str]:
        """Return the content of each model that the server has, by its full name."""
        return {
            full(each["name"]): each["digest"] for each in self.get("/api/tags")["models"] or ()
        }

    def remove(self, name: str) -> None:
        with self.request("DELETE", "/api/delete", {"model": name, "name": name}):
            pass

    def rename(self, name: str, to: str) -> None:
        with self.request("POST", "/api/copy", {"source": name, "destination": to}):
            pass
        self.remove(name)


def _reason(text: str) -> str:
    """Return the message in Ollama's or Anthropic's form of an error."""
    try:
        error = json.loads(text)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return text[-300:]


def full(name: str) -> str:
    """Return the one way of writing a model's name: the server shortens, and ignores case."""
    name = name.lower().removeprefix("registry.ollama.ai/").removeprefix("library/")
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def make(server: Server, wanted: list[Model], path: str) -> None:
    """Make what is missing or other than wanted, and remove what was made here and is not wanted.

    What serves under a name goes on until its successor has proved itself.
    """
    ledger, there = read(path), server.digests()
    for torso in (name for name in there if name.startswith(CANDIDATE)):
        server.remove(torso)
    for model in wanted:
        name = model["name"]
        if is_made(model, ledger, there):
            continue
        if "from" in model["body"] and not is_right(model, there.get(full(model["tag"]))):
            pull(server, name, model["tag"])
            check(model, server.digests().get(full(model["tag"])))
        create(server, model, kin(model["tag"], wanted, ledger))
        there = server.digests()
        ledger[name] = {
            "recipe": model["recipe"],
            "digest": there[full(name)],
            "tag": model["tag"],
            "context": model["context"],
        }
        write(path, ledger)
    for name in ledger.keys() - {model["name"] for model in wanted}:
        if full(name) in there:
            server.remove(name)
        tell(name, "removed; the weights that were pulled for it stay")
        del ledger[name]
        write(path, ledger)


def is_made(model: Model, ledger: Ledger, there: dict[str, str]) -> bool:
    entry = ledger.get(model["name"], {})
    return entry.get("recipe") == model["recipe"] and is_there(model["name"], ledger, there)


def is_there(name: str, ledger: Ledger, there: dict[str, str]) -> bool:
    """Is the model still the one that was made here?"""
    return name in ledger and there.get(full(name)) == ledger[name].get("digest")


def pull(server: Server, name: str, tag: str) -> None:
    """Pull a tag, and say every few seconds how far that is."""
    sizes: dict[str, tuple[int, int]] = {}
    told, at = "", 0.0
    try:
        for said in server.stream("/api/pull", {"model": tag}):
            status, far = said.get("status", ""), ""
            if said.get("total"):
                sizes[said["digest"]] = (said.get("completed", 0), said["total"])
                far = progress(sizes)
            if status != told or time.monotonic() - at >= TOLD:
                tell(name, f"{tag}: {status}{far}")
                told, at = status, time.monotonic()
    except Failure as failure:
        remedy = "Does this host reach the registry, and has its disk room?"
        if "file does not exist" in str(failure):
            remedy = "The registry has no such tag: correct the weights."
        raise Failure(f"{name}: {tag} cannot be pulled: {failure}. {remedy}") from None


def progress(sizes: dict[str, tuple[int, int]]) -> str:
    """Say how much is done of all layers that are known of so far."""
    done, total = (sum(size[at] for size in sizes.values()) for at in (0, 1))
    return f", {done / 1e9:.2f} of {total / 1e9:.2f} GB ({100 * done // total}%)"


def is_right(model: Model, digest: str | None) -> bool:
    """Is the pulled tag the wanted one? Where no digest is wanted, the one that is there is."""
    return digest is not None and model["digest"] in (None, digest.removeprefix("sha256:"))


def check(model: Model, digest: str | None) -> None:
    if not is_right(model, digest):
        raise Failure(
            f"{model['name']}: {model['tag']} is {digest}, and the fleet file wants "
            f"{model['digest']}. The tag was moved: look at what has changed, then write the "
            "digest that you want."
        )


def kin(tag: str, wanted: list[Model], ledger: Ledger) -> set[str]:
    """Return all names by which the server may call the weights of a tag when they are loaded.

    It holds weights once, and calls them by the model that asked for them first, so long as the
    others want the same window.
    """
    made = {name for name, entry in ledger.items() if entry.get("tag") == tag}
    made.update(model["name"] for model in wanted if model["tag"] == tag)
    return {full(each) for each in (tag, *made, *(CANDIDATE + name for name in made))}


def create(server: Server, model: Model, names: set[str]) -> None:
    """Make the model under another name, let it prove itself, and only then give it its own."""
    tell(model["name"], f"created from {model['source']}, window {model['context']}")
    name, candidate = model["name"], CANDIDATE + model["name"]
    try:
        for _ in server.stream("/api/create", {**model["body"], "model": candidate}):
            pass
    except Failure as failure:
        raise Failure(f"{name}: cannot be created from {model['source']}: {failure}") from None
    try:
        prove(server, name, candidate, model["context"], model["gpus"], names)
    except BaseException:
        with suppress(Failure, OSError):
            server.remove(candidate)
        raise
    server.rename(candidate, name)


def prove_all(server: Server, wanted: list[Model], path: str) -> None:
    """Prove the models that were made here before: a new server must serve them as the old one."""
    ledger, there = read(path), server.digests()
    for model in wanted:
        name = model["name"]
        if is_there(name, ledger, there):
            entry = ledger[name]
            names = kin(entry["tag"], [], ledger)
            prove(server, name, name, entry["context"], model["gpus"], names)


def prove(server: Server, name: str, asked: str, context: int, gpus: int, names: set[str]) -> None:
    """Have a model answer as Claude Code asks, streamed and not, and compare its live window.

    ``asked`` is what it is called now, ``names`` what the server may call its weights, ``gpus``
    how many GPUs the server has.
    """
    request = {
        "model": asked,
        "max_tokens": 16,
        "messages": [{"role": "user", "content": "Hello"}],
        "tools": [TOOL],
    }
    try:
        with server.request("POST", "/v1/messages", request) as answer:
            kind = json.load(answer).get("type")
        with server.request("POST", "/v1/messages", {**request, "stream": True}) as answer:
            events = [line.decode().strip() for line in answer if line.startswith(b"event:")]
    except Failure as failure:
        if "does not support tools" in str(failure):
            raise Failure(
                f"{name}: takes no tools, which Claude Code sends with every request "
                f"('{failure}'). Choose weights that can use tools."
            ) from None
        raise Failure(f"{name}: does not answer: {failure}") from None
    if kind != "message" or not events or events[-1] != "event: message_stop":
        raise Failure(f"{name}: does not answer on /v1/messages as Claude Code needs it.")
    digest = server.digests().get(full(asked))
    loaded = server.get("/api/ps")["models"] or ()
    live = [each for each in loaded if each.get("digest") == digest]
    # What was asked last is told first.
    live = live or [each for each in loaded if full(each["name"]) in names]
    compare(name, context, gpus, live)


def compare(name: str, context: int, gpus: int, loaded: list[Model]) -> None:
    """Compare the window that the server really gave the model with the declared one."""
    if not loaded:
        raise Failure(
            f"{name}: is not in memory right after its answer, so its window is not known. "
            "Write a longer keep_alive."
        )
    live = loaded[0]
    window = live.get("context_length")
    if window != context:
        limit = f"Write context: {window}, or choose weights that were trained for more."
        raise Failure(
            f"{name}: has a window of {window}, and the fleet file says {context}: prompts would "
            f"be cut silently. {limit if (window or 0) < context else f'Write context: {window}.'}"
        )
    size = live.get("size", 0)
    outside = size - live.get("size_vram", 0)
    if gpus and outside:
        where = f"{outside / 1e9:.1f} of its {size / 1e9:.1f} GB are not on a GPU, so it is slow"
        tell(name, f"warning: {where}. {FITS if outside < size else UNUSED.format(gpus)}")


def read(path: str) -> Ledger:
    """Return the ledger; what cannot be read was not written here."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            ledger = json.load(file)
    except (OSError, ValueError):
        return {}
    return ledger if isinstance(ledger, dict) else {}


def write(path: str, ledger: Ledger) -> None:
    """Replace the ledger, whole or not at all."""
    with open(f"{path}.new", "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(ledger, file, indent=1, sort_keys=True)
        file.write("\n")
    os.replace(f"{path}.new", path)  # noqa: PTH105


def tell(name: str, text: str) -> None:
    print(f"{name}: {text}", flush=True)


def give(url: str, path: str) -> int:
    """Give the server a file. It calls it by its digest, and refuses any other content."""
    try:
        with _open(Request(url, method="HEAD"), timeout=LOADING):
            return 0
    except HTTPError as error:
        if error.code != 404:
            print(f"{url} ended with {error.code}", file=sys.stderr)
            return 1
    headers = {"Content-Type": "application/octet-stream", "Content-Length": size(path)}
    try:
        with (
            open(path, "rb") as file,  # noqa: PTH123
            _open(Request(url, file, headers, method="POST"), timeout=LOADING),
        ):
            return 0
    except HTTPError as error:
        said = _reason(error.read().decode(errors="replace"))
        print(f"Ollama does not take the file: {said}", file=sys.stderr)
    except OSError as error:
        print(f"Ollama does not take the file: {error}. Has its disk room?", file=sys.stderr)
    return 1


def size(path: str) -> str:
    return str(os.stat(path).st_size)  # noqa: PTH116


def main(mode: str, url: str, path: str) -> int:
    wanted = json.load(sys.stdin)
    try:
        (make if mode == "make" else prove_all)(Server(url), wanted, path)
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
