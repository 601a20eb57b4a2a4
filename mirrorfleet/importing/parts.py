"""Models on their way into the fleet file: their keys, and the values of the input behind each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mirrorfleet.config.problems import Key
from mirrorfleet.importing.draft import Draft
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.nodes import Node

ORDER = (
    *(
        "engine",
        "provider",
        "prefix",
        "id",
        "version",
        "build",
        "weights",
        "digest",
        "revision",
        "family",
    ),
    *(
        "tool_parser",
        "reasoning_parser",
        "task",
        "hosts",
        "url",
        "served_name",
        "port",
        "organization",
    ),
    *(
        "api_version",
        "region",
        "project",
        "role",
        "role_session",
        "context",
        "output",
        "base_model",
    ),
    *("tensor_parallel", "pipeline_parallel", "data_parallel", "devices", "gpu_memory_utilization"),
    *("dtype", "quantization", "kv_cache_dtype", "max_num_seqs", "chat_template"),
    *("tenant_id", "client_id", "api_key", "access_key_id", "secret_access_key", "session_token"),
)
"""The order of a model's keys; others follow."""


@dataclass(frozen=True)
class Part:
    """A part of the input, and the key that it becomes; ``suffix`` is empty without one."""

    node: Node
    suffix: Key = ()
    fate: Fate = Fate.TAKEN
    reason: str = ""


@dataclass
class Piece:
    """A model, or one of its deployments.

    ``model`` has the keys that all deployments share. ``missing`` and ``chosen`` are keys with a
    placeholder or a value that no input has.
    """

    name: str
    entry: Node
    data: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    rate: dict[str, int] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    chosen: list[tuple[str, str]] = field(default_factory=list)

    def set(self, name: str, value: Any, node: Node, reason: str = "") -> None:
        """Set a key that a part of the input has."""
        self.data[name] = value
        self.parts.append(Part(node, (name,), Fate.TAKEN, reason))

    def drop(self, node: Node, reason: str, fate: Fate = Fate.LEFT_OUT) -> None:
        """Leave out a part of the input."""
        self.parts.append(Part(node, (), fate, reason))

    def reopen(self, name: str, reason: str) -> None:
        """Take a key back, and open the parts of the input behind it."""
        del self.data[name]
        self.parts = [
            Part(part.node, (), Fate.OPEN, reason) if part.suffix == (name,) else part
            for part in self.parts
        ]

    def default(self, name: str, value: Any, reason: str) -> None:
        """Set a key that no input has, unless it is set."""
        if name not in self.data:
            self.data[name] = value
            self.chosen.append((name, reason))

    def ask(self, name: str, placeholder: Any, question: str) -> None:
        """Set a placeholder, unless the key is set."""
        if name not in self.data:
            self.data[name] = placeholder
            self.missing.append((name, question))

    def same(self, other: Piece) -> bool:
        """Return whether two pieces differ in nothing but their name."""
        return (self.data, self.model, self.rate) == (other.data, other.model, other.rate)


def ordered(data: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a model in the usual order."""
    return {
        **{name: data[name] for name in ORDER if name in data},
        **{name: each for name, each in data.items() if name not in ORDER},
    }


def settle(draft: Draft, piece: Piece, key: Key, shared: Key) -> None:
    """Give the parts of a piece at ``key`` their fates. ``shared`` is the key of its model."""
    for part in piece.parts:
        at = shared if part.suffix and part.suffix[0] in piece.model else key
        if part.fate == Fate.TAKEN and part.suffix[:1] == ("rate",):
            draft.settle(
                part.node, ("gateway", "limits", "models", piece.name, part.suffix[1]), part.reason
            )
        elif part.fate == Fate.TAKEN:
            draft.settle(part.node, (*at, *part.suffix), part.reason)
        else:
            draft.leave(part.node, part.reason, part.fate)
    for name, question in piece.missing:
        draft.need((*key, name), piece.data[name], question)
    for name, reason in piece.chosen:
        draft.choose((*key, name), piece.data[name], reason)
    is_entry = piece.entry.get("litellm_params") is not None
    reason = "LiteLLM has no such key here" if is_entry else "no part of the engine's configuration"
    draft.leave(piece.entry, reason)


def fold(draft: Draft, pieces: Iterable[Piece], name: str) -> None:
    """Give the parts of pieces that are those of ``name`` once more their fates."""
    for piece in pieces:
        for leaf in piece.entry.leaves():
            if not draft.ledger.has(leaf):
                draft.ledger.give(leaf, Fate.FOLDED, f"the same as models.{name}", ("models", name))
