"""The requests of Mirrorfleet's programs on a host to its Ollama: a module of model_manager.py.

With the distribution's python3 and its standard library only.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from mirrorfleet.roles.proof.files.api import printable

LOADING = 900
"""Maximum seconds without data: the server reads a large model from disk before it answers."""

DAMAGED = 65
"""Exit status of ``give`` for a file that does not have its digest."""

Model = dict[str, Any]

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
                raise OSError(f"it is busy: {reason(text)}") from None
            raise Failure(reason(text) or f"{path} failed with status {error.code}") from None

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
                    raise Failure(reason(line.decode()))
                status = event.get("status", status)
                yield event
        if status != "success":
            raise Failure(f"the response of {path} ended during {status!r}")

    def digests(self) -> dict[str, str]:
        """Return the digest of each model on the server, by its full name."""
        models = self.get("/api/tags")["models"] or ()
        return {full(model["name"]): model["digest"] for model in models}

    def loaded(self) -> list[Model]:
        """Return the models in memory, the one with the latest request first."""
        return list(self.get("/api/ps")["models"] or ())

    def remove(self, name: str) -> None:
        """Remove a model."""
        with self.request("DELETE", "/api/delete", {"model": name, "name": name}):
            pass

    def rename(self, name: str, to: str) -> None:
        """Rename a model; it replaces a model with the new name."""
        with self.request("POST", "/api/copy", {"source": name, "destination": to}):
            pass
        self.remove(name)

    def load(self, name: str) -> None:
        """Load a model into memory."""
        with self.request("POST", "/api/generate", {"model": name, "stream": False}) as response:
            response.read()

    def unload(self, name: str) -> None:
        """Remove a model from memory, after the turns that it is answering."""
        body = {"model": name, "keep_alive": 0, "stream": False}
        with self.request("POST", "/api/generate", body) as response:
            response.read()


def reason(text: str) -> str:
    """Return the message of an error in Ollama's or Anthropic's form.

    It may be of a registry, which must not control the operator's terminal.
    """
    try:
        error = json.loads(text)["error"]
        return printable(str(error["message"] if isinstance(error, dict) else error))
    except (ValueError, KeyError, TypeError, RecursionError):
        return printable(text[-300:])


def full(name: str) -> str:
    """Return a model's full name in lower case: the server shortens names, and ignores case."""
    name = name.lower().removeprefix("registry.ollama.ai/").removeprefix("library/")
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def report(name: str, text: str) -> None:
    """Print a line about a model."""
    print(f"{name}: {printable(text)}", flush=True)


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
        text = reason(error.read().decode(errors="replace"))
        print(f"Ollama rejects the file: {text}", file=sys.stderr)
        return DAMAGED if error.code == 400 else 1
    except OSError as error:
        print(f"Ollama rejects the file: {error}. Check the space on its disk.", file=sys.stderr)
    return 1


def size(path: str) -> str:
    """Return the size of a file in bytes, as a header."""
    return str(os.stat(path).st_size)  # noqa: PTH116
