#!/usr/bin/env python3
"""A stand-in for the program `ollama`: its API and its behaviour, without a model.

As the real program, it stores manifests below OLLAMA_MODELS, limits the window to the trained one,
and cuts prompts that exceed it (prompt.py). It pulls from lib/ollama/registry.json in its release,
and always gives the same answer.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from itertools import chain, islice
from pathlib import Path
from socket import AF_INET, AF_INET6
from socketserver import ThreadingTCPServer
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

LIBRARY = Path(__file__).resolve().parents[1] / "lib/ollama"
sys.path.insert(0, str(LIBRARY))

from tests.standins.ollama import decoding, prompt  # noqa: E402

VERSION = "0.0.0"
ANSWER = "I am the stand-in for Ollama: this is the one answer I know."
REGISTRY = LIBRARY / "registry.json"
BREAK = "break off"
"""A prompt with these words is answered by a stream that ends after its first event."""
DIE = "die in mid-stream"
"""A prompt with these words is answered by a stream that ends in the middle of its text."""
MALFORM = "malform the call"
"""The model answers a prompt with these words by a tool call that its parser rejects."""
LATE = "after some text"
"""With these words as well, a stream has text before the call: it ends in the middle."""
REPENT = "unless it was rejected"
"""With these words as well, its next call is good if the conversation says that one was not."""
REJECTED = "XML syntax error on line 4: element <parameter> closed by </function>"
"""The error of Ollama's parser for Qwen3-Coder."""
HOST = os.environ.get("OLLAMA_HOST", "127.0.0.1:11434")
SIZE = 3_000_000_000
UNITS = {"s": 1, "m": 60, "h": 3600}

Json = dict[str, Any]


class Refused(Exception):
    """A response with a status other than 200."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def full(name: str) -> str:
    """Return a name with its tag."""
    return name if ":" in name else f"{name}:latest"


class Store:
    """The manifests and blobs on disk."""

    def path(self, name: str) -> Path:
        model, tag = full(name).rsplit(":", 1)
        models = Path(os.environ.get("OLLAMA_MODELS", Path.home() / ".ollama/models"))
        owner = "" if "/" in model else "library/"
        return models / "manifests/registry.ollama.ai" / f"{owner}{model}" / tag

    def read(self, name: str) -> Json:
        try:
            found: Json = json.loads(self.path(name).read_text("utf-8"))
        except FileNotFoundError:
            raise Refused(404, f"model '{name}' not found") from None
        return found

    def write(self, name: str, manifest: Json) -> None:
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(json.dumps(manifest, sort_keys=True), "utf-8")

    def digest(self, name: str) -> str:
        return sha256(self.path(name).read_bytes()).hexdigest()

    def blob(self, digest: str) -> Path:
        return self.path("x").parents[4] / "blobs" / digest.replace(":", "-")

    def keep(self, digest: str, content: bytes) -> None:
        """Store a file. Raises ``Refused`` if it has another digest."""
        found = f"sha256:{sha256(content).hexdigest()}"
        if found != digest:
            raise Refused(400, f'digest mismatch, expected "{digest}", got "{found}"')
        self.blob(digest).parent.mkdir(parents=True, exist_ok=True)
        self.blob(digest).write_bytes(content)

    def names(self) -> Iterator[str]:
        root = self.path("x").parents[2]
        for path in sorted(root.glob("**/*")):
            if path.is_file():
                name = f"{path.parent.relative_to(root)}:{path.name}"
                yield name.removeprefix("library/")


STORE = Store()
LOADED: dict[str, Json] = {}
"""The loaded weights: the name of the first model, the window, and the time of unloading."""


def load(name: str) -> Json:
    """Load a model with its window, and return its manifest."""
    manifest = STORE.read(name)
    asked = manifest["parameters"].get("num_ctx") or int(
        os.environ.get("OLLAMA_CONTEXT_LENGTH", 4096)
    )
    keep = os.environ.get("OLLAMA_KEEP_ALIVE", "5m")
    seconds = 10**9 if keep == "-1" else int(keep[:-1]) * UNITS[keep[-1]]
    limit = json.loads(REGISTRY.read_text("utf-8"))["limit"]
    window = min(asked, manifest["trained"], limit)
    loaded = LOADED.pop(manifest["layer"], None)
    while len(LOADED) >= int(os.environ.get("OLLAMA_MAX_LOADED_MODELS", 3)):
        del LOADED[next(iter(LOADED))]
    if loaded is None or loaded["window"] != window:
        loaded = {"name": full(name), "digest": STORE.digest(name), "window": window}
    LOADED[manifest["layer"]] = {**loaded, "end": time.time() + seconds}
    return manifest


def pull(body: Json) -> Iterator[Json]:
    """Yield the events of /api/pull."""
    yield {"status": "pulling manifest"}
    registry = json.loads(REGISTRY.read_text("utf-8"))["tags"]
    if body["model"] not in registry:
        raise Refused(200, "pull model manifest: file does not exist")
    entry = registry[body["model"]]
    layer = sha256(json.dumps([body["model"], entry]).encode()).hexdigest()
    for done in (0, 40, 100):
        size = {"digest": f"sha256:{layer}", "total": 2_600_000_000, "completed": done * 26_000_000}
        yield {"status": f"pulling {layer[:12]}", **size}
    STORE.write(body["model"], {"layer": layer, "parameters": {}, **entry})
    for status in ("verifying sha256 digest", "writing manifest", "success"):
        yield {"status": status}


def create(body: Json) -> Iterator[Json]:
    """Yield the events of /api/create."""
    for digest in (*body.get("files", {}).values(), *body.get("adapters", {}).values()):
        if not STORE.blob(digest).exists():
            raise Refused(400, f"blob {digest!r} not found")
    if "files" in body:
        yield {"status": "parsing GGUF"}
        [layer] = body["files"].values()
        base = {
            "layer": layer,
            "parameters": {},
            "trained": 262144,
            "capabilities": ["completion", "tools"],
        }
        STORE.write(body["model"], {**base, "parameters": body.get("parameters", {})})
        yield {"status": "success"}
        return
    if "from" not in body:
        raise Refused(400, "neither 'from' or 'files' was specified")
    if not STORE.path(body["from"]).exists():
        yield from pull({"model": body["from"]})
    base = STORE.read(body["from"])
    yield {"status": f"using existing layer sha256:{base['layer']}"}
    fields: Json = {
        key: body[key] for key in ("template", "system", "messages", "license") if key in body
    }
    parameters = {**base["parameters"], **body.get("parameters", {})}
    STORE.write(body["model"], {**base, **fields, "parent": body["from"], "parameters": parameters})
    yield {"status": "writing manifest"}
    yield {"status": "success"}


def tags() -> list[Json]:
    return [{"name": name, "model": name, "digest": STORE.digest(name)} for name in STORE.names()]


def show(name: str) -> Json:
    manifest = STORE.read(name)
    parameters = "\n".join(f"{key:30} {value}" for key, value in manifest["parameters"].items())
    return {
        "parameters": parameters,
        "details": {"parent_model": manifest.get("parent", ""), "format": "gguf"},
        "model_info": {"standin.context_length": manifest["trained"]},
        "capabilities": manifest["capabilities"],
    }


def on_gpus() -> float:
    """Return the share of a model on the GPUs."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "-1") == "-1":
        return 0
    share: float = json.loads(REGISTRY.read_text("utf-8"))["vram"]
    return share


def running() -> list[Json]:
    """Return the loaded models, that of the last request first."""
    return [
        {
            "name": model["name"],
            "model": model["name"],
            "digest": model["digest"],
            "size": SIZE,
            "size_vram": int(SIZE * on_gpus()),
            "context_length": model["window"],
        }
        for model in reversed(LOADED.values())
        if model["end"] > time.time()
    ]


def read(request: Json, manifest: Json, truncate: bool = True) -> prompt.Prompt:
    """Return the prompt that the model reads for a request to /api/chat."""
    return prompt.prompt(request, LOADED[manifest["layer"]]["window"], truncate)


def message(body: Json) -> Json:
    """Return the response of /v1/messages, with a tool call if the message requests one.

    For example: use Bash {"command": "date"}
    """
    manifest = load(body["model"])
    if body.get("tools") and "tools" not in manifest["capabilities"]:
        raise Refused(
            400, f"registry.ollama.ai/library/{full(body['model'])} does not support tools"
        )
    try:
        chat = prompt.chat(body)
        decoding.check_images(body["messages"], "vision" in manifest["capabilities"])
    except decoding.Invalid as invalid:
        raise Refused(400, str(invalid)) from None
    if not chat["messages"]:
        return unloaded(body)
    *_, last = (message["content"] for message in body["messages"] if message["role"] == "user")
    text = last if isinstance(last, str) else "\n".join(block.get("text", "") for block in last)
    if MALFORM in text and not (REPENT in text and "malformed" in text.rpartition(MALFORM)[2]):
        print("malformed call", flush=True)
        if not (body.get("stream") and LATE in text):
            raise Refused(500, REJECTED)
    for tool in body.get("tools", ()):
        if found := re.search(rf"use {re.escape(tool['name'])}( {{.*}})?", text):
            given = json.loads(found[1] or "{}")
            block = {"type": "tool_use", "id": "toolu_1", "name": tool["name"], "input": given}
            break
    else:
        block = {"type": "text", "text": ANSWER}
    _, tokens, whole = read(chat, manifest)
    cut = f"cut: {whole} tokens to {tokens}" if tokens < whole else f"turn: {tokens} tokens"
    print(f"{cut}, {body['max_tokens']} more at most", flush=True)
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [block],
        "stop_reason": "tool_use" if block["type"] == "tool_use" else "end_turn",
        "usage": {"input_tokens": tokens, "output_tokens": 16},
    }


def unloaded(body: Json) -> Json:
    """Return the response to a request whose content Ollama dropped: it only loads the model."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": None,
        "stop_reason": "stop_sequence",
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }


def chat(body: Json) -> Json:
    """Return the response of /api/chat, or the prompt after cutting."""
    manifest = load(body["model"])
    found = read(body, manifest, body.get("truncate", True))
    release = json.loads(REGISTRY.read_text("utf-8"))
    if body.get("_debug_render_only") and release["hangs"]:
        time.sleep(600)
    if body.get("_debug_render_only") and release["debug"]:
        return {"model": body["model"], "_debug_info": {"rendered_template": found.text}}
    window = LOADED[manifest["layer"]]["window"]
    if found.tokens >= window:
        sizes = f"({found.tokens} tokens) exceeds the available context size ({window} tokens)"
        raise Refused(400, f"request {sizes}, try increasing it")
    answer = {"role": "assistant", "content": ANSWER}
    counts = {"prompt_eval_count": found.tokens, "eval_count": 16}
    return {"model": body["model"], "message": answer, "done": True, **counts}


def estimated(body: Json) -> int:
    """Return the guess in the first event of a stream: four characters per token."""
    parts = [body.get("system") or "", body["messages"], body.get("tools") or ""]
    return sum(len(part if isinstance(part, str) else json.dumps(part)) for part in parts) // 4


def events(whole: Json, guess: int) -> Iterator[Json]:
    """Yield the response as a stream, whose last events hold the true number of tokens."""
    usage = {"input_tokens": guess, "output_tokens": 0}
    first = {**whole, "content": [], "stop_reason": None, "usage": usage}
    yield {"type": "message_start", "message": first}
    for block in whole["content"] or ():
        is_text = block["type"] == "text"
        given = {"type": "input_json_delta", "partial_json": json.dumps(block.get("input"))}
        delta = {"type": "text_delta", "text": ANSWER} if is_text else given
        start = {**block, "text": ""} if is_text else {**block, "input": {}}
        yield {"type": "content_block_start", "index": 0, "content_block": start}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
        yield {"type": "content_block_stop", "index": 0}
    ends = {"stop_reason": whole["stop_reason"]}
    yield {"type": "message_delta", "delta": ends, "usage": whole["usage"]}
    yield {"type": "message_stop"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        print(self.command, self.path, flush=True)

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def do_DELETE(self) -> None:
        self.answer()

    def answer(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        if self.path.startswith("/api/blobs/"):
            self.blobs(self.path.rpartition("/")[2], self.rfile.read(size))
            return
        body = json.loads(self.rfile.read(size) or b"{}")
        if "model" not in body and "name" in body:
            body["model"] = body["name"]
        try:
            self.route(f"{self.command} {self.path}", body)
        except Refused as error:
            if self.path.startswith("/v1/"):
                kind = "api_error" if error.code == 500 else "invalid_request_error"
                inner = {"type": kind, "message": str(error)}
                self.send(error.code, json.dumps({"type": "error", "error": inner}))
            else:
                self.send(error.code, json.dumps({"error": str(error)}))

    def blobs(self, digest: str, content: bytes) -> None:
        try:
            if self.command == "POST":
                STORE.keep(digest, content)
                self.send(201, "")
            else:
                self.send(200 if STORE.blob(digest).exists() else 404, "")
        except Refused as error:
            self.send(error.code, json.dumps({"error": str(error)}))

    do_HEAD = do_GET

    def route(self, what: str, body: Json) -> None:
        match what:
            case "GET /":
                self.send(200, "Ollama is running")
            case "GET /api/version":
                self.send(200, json.dumps({"version": VERSION}))
            case "GET /api/tags":
                self.send(200, json.dumps({"models": tags()}))
            case "GET /api/ps":
                self.send(200, json.dumps({"models": running()}))
            case "POST /api/show":
                self.send(200, json.dumps(show(body["model"])))
            case "POST /api/pull":
                self.stream("application/x-ndjson", self.lines(pull(body)))
            case "POST /api/create":
                self.stream("application/x-ndjson", self.lines(create(body)))
            case "POST /api/copy":
                STORE.write(body["destination"], STORE.read(body["source"]))
                self.send(200, "")
            case "DELETE /api/delete":
                STORE.read(body["model"])
                STORE.path(body["model"]).unlink()
                self.send(200, "")
            case "POST /api/chat":
                self.send(200, json.dumps(chat(body)))
            case "POST /v1/messages":
                whole = message(body)
                if body.get("stream"):
                    sent = events(whole, estimated(body))
                    for words, most in ((BREAK, 1), (DIE, 3), (LATE, 3)):
                        if words in json.dumps(body["messages"][-1]):
                            sent = islice(sent, most)
                    lines = (f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in sent)
                    self.stream("text/event-stream", lines)
                else:
                    self.send(200, json.dumps(whole))
            case _:
                self.send(404, "404 page not found")

    def lines(self, progress: Iterator[Json]) -> Iterator[str]:
        """Yield one object per line, also for an error: the status 200 is sent already."""
        try:
            for event in progress:
                yield json.dumps(event) + "\n"
        except Refused as error:
            yield json.dumps({"error": str(error)}) + "\n"

    def send(self, code: int, text: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def stream(self, kind: str, chunks: Iterable[str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in chain(chunks, [""]):
            data = chunk.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


def serve() -> None:
    address, _, port = HOST.rpartition(":")
    address = address.strip("[]")

    class Server(ThreadingTCPServer):
        address_family = AF_INET6 if ":" in address else AF_INET
        allow_reuse_address = True
        daemon_threads = True

    server = Server((address, int(port)), Handler)
    print(f"Listening on {HOST} (version {VERSION}, a stand-in)", flush=True)
    server.serve_forever()


def version() -> None:
    try:
        with urlopen(f"http://{HOST}/api/version", timeout=2) as response:
            print("ollama version is", json.load(response)["version"])
    except URLError:
        print("Warning: could not connect to a running Ollama instance")
        print("Warning: client version is", VERSION)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            serve()
        case ["--version" | "-v"]:
            version()
        case _:
            sys.exit("usage: ollama serve | --version")
