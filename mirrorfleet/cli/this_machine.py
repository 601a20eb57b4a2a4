"""What this machine has for a fleet of one machine: its user, memory, GPUs, and an Ollama."""

from __future__ import annotations

import json
import os
import platform
import pwd
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

OLLAMA = "http://127.0.0.1:11434"
PORT = 4000
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/:-]*")
"""A tag that a fleet file can name."""

LOAD = 180
"""Seconds for Ollama to load a model, so that it reports the window that it has for it."""


@dataclass(frozen=True)
class Served:
    """A model of an Ollama that calls tools. ``size`` is in bytes; ``window`` in tokens, 0 if
    Ollama did not report it."""

    tag: str
    size: int
    window: int


@dataclass(frozen=True)
class Ollama:
    """An Ollama that runs. ``models`` are those that call tools, the largest first."""

    url: str
    version: str
    models: tuple[Served, ...]


@dataclass(frozen=True)
class Machine:
    """``memory`` is in GiB, ``gpus`` the memory of each NVIDIA GPU in GiB."""

    name: str
    user: str
    memory: float
    gpus: tuple[float, ...]
    ollama: Ollama | None
    port: int
    has_systemd: bool

    @property
    def model_memory(self) -> float:
        """The memory that models have: of all GPUs, else of the machine, in GiB."""
        return sum(self.gpus) or self.memory


def this_machine() -> Machine:
    """Look at this machine. Changes nothing, except that Ollama loads its largest model."""
    return Machine(
        name=_name(platform.node()),
        user=_user(),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3,
        gpus=tuple(_gpus()),
        ollama=_ollama(_address(os.environ.get("OLLAMA_HOST", ""))),
        port=next(port for port in range(PORT, PORT + 100) if _is_free(port)),
        has_systemd=Path("/run/systemd/system").is_dir(),
    )


def _name(host: str) -> str:
    """Return the name of the host in the fleet file: that of the machine, if it can be one."""
    name = host.split(".")[0].lower()
    return name if re.fullmatch("[a-z][a-z0-9-]{0,62}", name) and name != "hosts" else "laptop"


def _user() -> str:
    """Return the login of the person, also where sudo runs this command."""
    identity = os.environ.get("SUDO_UID", "")
    return pwd.getpwuid(int(identity) if identity.isdecimal() else os.getuid()).pw_name


def _gpus() -> Iterator[float]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return
    query = [program, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(query, capture_output=True, text=True, timeout=20)
        for line in done.stdout.splitlines() if done.returncode == 0 else ():
            if line.strip().isdecimal():
                yield round(int(line) / 1024, 1)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _address(given: str) -> str:
    """Return the URL of Ollama from $OLLAMA_HOST, which may have no scheme, port or address."""
    if not given:
        return OLLAMA
    parts = urlsplit(given if "://" in given else f"http://{given}")
    host = parts.hostname or "127.0.0.1"
    host = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    default = {"http": 11434, "https": 443}.get(parts.scheme, 11434)
    try:
        return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{parts.port or default}"
    except ValueError:  # not a port
        return OLLAMA


def _ollama(url: str) -> Ollama | None:
    """Return the Ollama at a URL; ``None`` if none answers there."""
    try:
        version = str(_asked(url, "/api/version").get("version", ""))
        if not re.fullmatch(r"[0-9A-Za-z.+-]*", version):
            return None
        listed = _asked(url, "/api/tags").get("models") or []
        tags = {
            each["name"]: int(each.get("size", 0)) for each in listed if TAG.fullmatch(each["name"])
        }
        shown = {tag: _asked(url, "/api/show", {"model": tag}) for tag in tags}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    useful = sorted(
        (tag for tag in tags if "tools" in shown[tag].get("capabilities", ("tools",))),
        key=lambda tag: -tags[tag],
    )
    models = [Served(tag, tags[tag], _window(url, tag, load=tag == useful[0])) for tag in useful]
    return Ollama(url, version, tuple(models))


def _window(url: str, tag: str, *, load: bool) -> int:
    """Return the window that Ollama has for a model that is loaded; 0 if it is not."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        if load:
            _asked(url, "/api/generate", {"model": tag, "stream": False}, LOAD)
        for each in _asked(url, "/api/ps").get("models") or ():
            if tag in (each.get("name"), each.get("model")):
                return int(each.get("context_length", 0))
    return 0


def _asked(
    url: str, path: str, body: Mapping[str, Any] | None = None, seconds: int = 5
) -> dict[str, Any]:
    """Return an answer of Ollama's API. Raises ``OSError`` or ``ValueError``."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"{url}{path}", data, {"Content-Type": "application/json"})
    # Not through a proxy of the environment: it is this machine, or its neighbour.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=seconds) as response:
        answer = json.loads(response.read(16 * 1024**2))
    if not isinstance(answer, dict):
        raise ValueError("not an object")
    return answer
