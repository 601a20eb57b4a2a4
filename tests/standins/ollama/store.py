"""The models of the stand-in for Ollama: manifests and blobs on disk, and pulls from a registry.

Manifests that the stand-in creates have a format of its own. Those that it pulls from a registry
are Ollama's: it reads the layers of the model, its parameters and its config.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

Json = dict[str, Any]

DEFAULTS = ("registry.ollama.ai", "library")
PARAMETERS = "application/vnd.ollama.image.params"
MODEL = "application/vnd.ollama.image.model"
GRACE = 3600
"""Seconds for which a start keeps blobs that no manifest names, as the real server."""


class Refused(Exception):
    """A response with a status other than 200."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def full(name: str) -> str:
    """Return a name with its tag."""
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def split(name: str) -> tuple[str, str, str, str]:
    """Return host, namespace, model and tag of a name."""
    rest, tag = full(name).rsplit(":", 1)
    host, namespace, model = ([""] * 2 + rest.split("/"))[-3:]
    return host or DEFAULTS[0], namespace or DEFAULTS[1], model, tag


class Store:
    """The manifests and blobs on disk."""

    @property
    def root(self) -> Path:
        return Path(os.environ.get("OLLAMA_MODELS", Path.home() / ".ollama/models"))

    def path(self, name: str) -> Path:
        return self.root.joinpath("manifests", *split(name))

    def exists(self, name: str) -> bool:
        return self.path(name).exists()

    def read(self, name: str) -> Json:
        try:
            found: Json = json.loads(self.path(name).read_text("utf-8"))
        except FileNotFoundError:
            raise Refused(404, f"model '{name}' not found") from None
        return self._translated(found) if "layers" in found else found

    def _translated(self, manifest: Json) -> Json:
        """Return a manifest of the real format in that of the stand-in."""
        layers = {layer["mediaType"]: layer["digest"] for layer in manifest["layers"]}
        config = json.loads(self.blob(manifest["config"]["digest"]).read_text("utf-8"))
        parameters = {}
        if PARAMETERS in layers:
            parameters = json.loads(self.blob(layers[PARAMETERS]).read_text("utf-8"))
        return {
            "layer": layers[MODEL],
            "parameters": parameters,
            "trained": config.get("context_length", 262144),
            "capabilities": config.get("capabilities", ["completion", "tools"]),
        }

    def write(self, name: str, manifest: Json) -> None:
        self.write_text(name, json.dumps(manifest, sort_keys=True))

    def write_text(self, name: str, text: str) -> None:
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text, "utf-8")

    def copy(self, source: str, destination: str) -> None:
        self.read(source)
        self.write_text(destination, self.path(source).read_text("utf-8"))

    def remove(self, name: str) -> None:
        """Remove a model, and the blobs that no other model has."""
        self.read(name)
        text = self.path(name).read_text("utf-8")
        self.path(name).unlink()
        for blob in self._blobs():
            digest = blob.name.replace("-", ":")
            if digest in text and digest not in self._manifests():
                blob.unlink()

    def prune(self) -> None:
        """Remove old blobs that no manifest names, as every start does."""
        named = self._manifests()
        for blob in self._blobs():
            is_old = time.time() - blob.stat().st_mtime > GRACE
            if is_old and blob.name.replace("-", ":") not in named:
                blob.unlink()

    def _blobs(self) -> list[Path]:
        return sorted((self.root / "blobs").glob("sha256-*"))

    def _manifests(self) -> str:
        paths = (self.root / "manifests").glob("*/*/*/*")
        return "".join(path.read_text("utf-8") for path in paths)

    def digest(self, name: str) -> str:
        return sha256(self.path(name).read_bytes()).hexdigest()

    def blob(self, digest: str) -> Path:
        return self.root / "blobs" / digest.replace(":", "-")

    def keep(self, digest: str, content: bytes) -> None:
        """Store a file. Raises ``Refused`` if it has another digest."""
        found = f"sha256:{sha256(content).hexdigest()}"
        if found != digest:
            raise Refused(400, f'digest mismatch, expected "{digest}", got "{found}"')
        self.blob(digest).parent.mkdir(parents=True, exist_ok=True)
        self.blob(digest).write_bytes(content)

    def names(self) -> Iterator[str]:
        """Yield the names of all models as Ollama shortens them."""
        root = self.root / "manifests"
        for path in sorted(root.glob("*/*/*/*")):
            host, namespace, model, tag = path.relative_to(root).parts
            short = f"{host}/{namespace}/{model}:{tag}"
            for default in DEFAULTS:
                short = short.removeprefix(f"{default}/")
            yield short

    def pull(self, name: str, *, insecure: bool) -> Iterator[Json]:
        """Yield the events of a pull from a registry of one's own.

        ``insecure`` makes every request to it plain HTTP. A blob that the store has is not pulled.
        """
        host, namespace, model, tag = split(name)
        url = f"{'http' if insecure else 'https'}://{host}/v2/{namespace}/{model}"
        text = _get(f"{url}/manifests/{tag}", "pull model manifest: ").decode()
        manifest = json.loads(text)
        for layer in (*manifest["layers"], manifest["config"]):
            digest, size = layer["digest"], layer["size"]
            if not self.blob(digest).exists():
                content = _get(f"{url}/blobs/{digest}", "")
                if f"sha256:{sha256(content).hexdigest()}" != digest:
                    raise Refused(500, "digest mismatch, file must be downloaded again")
                self.keep(digest, content)
            events = {"digest": digest, "total": size, "completed": size}
            yield {"status": f"pulling {digest[7:19]}", **events}
        yield {"status": "verifying sha256 digest"}
        yield {"status": "writing manifest"}
        self.write_text(name, text)
        yield {"status": "success"}


def _get(url: str, context: str) -> bytes:
    try:
        with urlopen(url, timeout=10) as response:
            content: bytes = response.read()
    except HTTPError as error:
        known = {401: "unauthorized: access denied", 404: "file does not exist"}
        raise Refused(500, context + known.get(error.code, f"{error.code}: ")) from None
    except OSError as error:
        text = str(error)
        if "WRONG_VERSION_NUMBER" in text or "record layer" in text.lower():
            # The words of Go's client.
            text = "http: server gave HTTP response to HTTPS client"
        raise Refused(500, f'{context}Get "{url}": {text}') from None
    return content
