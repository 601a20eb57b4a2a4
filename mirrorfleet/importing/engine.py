"""Engines of the input: what is known of a running vLLM or Ollama, and where gateways find it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from mirrorfleet.importing.hidden import Hidden, expanded
from mirrorfleet.importing.nodes import Node
from mirrorfleet.importing.parts import Piece

HERE = ("localhost", "127.0.0.1", "0.0.0.0", "::1", "host.docker.internal", "172.17.0.1")
"""Names of the gateway's own machine."""


@dataclass
class Engine(Piece):
    """One engine. ``machine`` is the name of its host, ``served`` are the names of its model,
    ``others`` those of them that become aliases.

    ``names`` are the host names under which a gateway of the same input finds it, at ``ports``.
    """

    kind: str = "vllm"
    machine: str = "gpu"
    served: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    ports: set[int] = field(default_factory=set)
    gpus: int = 0
    gpu_lists: dict[str, tuple[list[Node], list[str]]] = field(default_factory=dict)
    address: str = ""

    def answers(self, base: str, model: str) -> bool:
        """Return whether a gateway that asks ``base`` for a model asks this engine."""
        url = urlsplit(base if "://" in base else f"http://{base}")
        try:
            port = url.port or (443 if url.scheme == "https" else 80)
        except ValueError:
            return False
        host = url.hostname or ""
        if port not in self.ports:
            return False
        if host in self.names or (host in HERE and HERE[0] in self.names):
            return self.kind == "ollama" or model in self.served or host not in HERE
        is_elsewhere = bool(host) and host not in HERE and not self.address
        return is_elsewhere and self.kind == "vllm" and model in self.served


@dataclass(frozen=True)
class Option:
    """An option of a command: its words, and the nodes of its values."""

    name: str
    words: tuple[Node, ...]
    values: tuple[Node, ...]
    lookup: Mapping[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    @property
    def text(self) -> str | None:
        """The value; ``None`` if it depends on a variable, empty for a switch."""
        if not self.values:
            return ""
        if isinstance(self.values[0].value, Hidden):
            return None
        text = self.values[0].text
        text, before = text.partition("=")[2] if self.inline and self.name else text, ""
        for _ in range(5):  # a variable can refer to others
            if text != before:
                text, before = VARIABLE.sub(self._looked_up, text), text
        return expanded(text)

    def _looked_up(self, found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name in self.lookup:
            self.used.add(name)
        return self.lookup.get(name, found[0])

    @property
    def inline(self) -> bool:
        """Whether the value is in the word of the option, after `=`."""
        return self.words == self.values


VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)(?::?-[^{}]*)?\}|\$([A-Za-z_]\w*)")

SHORT = {
    "tp": "tensor-parallel-size",
    "pp": "pipeline-parallel-size",
    "dp": "data-parallel-size",
    "q": "quantization",
}

SWITCH = re.compile(
    r"(enable|disable|no|use|return|trust|enforce|skip|language-model-only|headless)(-|$)"
)


def options(
    words: list[Node], lookup: Mapping[str, str] | None = None, used: set[str] | None = None
) -> Iterator[Option]:
    """Yield the options of a command, and its other words as options without a name.

    ``lookup`` has variables that the command can refer to; ``used`` gets those that it does.
    """
    lookup, used = lookup or {}, set() if used is None else used
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        named = word.key[-1] if isinstance(word.value, Hidden) and word.key else word.text
        found = re.fullmatch(r"--?([A-Za-z][\w.-]*)(=.*)?", str(named), re.DOTALL)
        if not found:
            yield Option("", (word,), (word,), lookup, used)
            continue
        name = found[1].replace("_", "-")
        name = SHORT.get(name, name)
        if found[2] or isinstance(word.value, Hidden):
            yield Option(name, (word,), (word,), lookup, used)
            continue
        values = []
        while at < len(words) and not re.match(r"--?[A-Za-z]", words[at].text):
            if SWITCH.match(name) and words[at].text.lower() not in ("true", "false"):
                break
            values.append(words[at])
            at += 1
            if name not in SEVERAL:
                break
        yield Option(name, (word, *values), tuple(values), lookup, used)


SEVERAL = (
    "served-model-name",
    "lora-modules",
    "allowed-origins",
    "middleware",
    "cudagraph-capture-sizes",
)


def tokens(text: str) -> int | None:
    """Return a number of tokens as vLLM reads it: 32768, 32k (thousands), 32K (times 1024)."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmMgG]?)", text.strip())
    if not found:
        return None
    unit = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "K": 2**10, "M": 2**20, "G": 2**30}
    return int(float(found[1]) * unit[found[2]])
