"""The fleet that an import builds: its values, what each came from, and what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from mirrorfleet.config.problems import Key
from mirrorfleet.importing.fates import Fate, Ledger
from mirrorfleet.importing.hidden import Hidden, referred
from mirrorfleet.importing.nodes import Node

DROPPED = object()
"""In place of a value that a list of LiteLLM's cannot have: a secret."""


@dataclass(frozen=True)
class Need:
    """A value that the input does not have. The fleet file has a ``placeholder`` that is safe."""

    key: Key
    placeholder: Any
    question: str


@dataclass(frozen=True)
class Choice:
    """A value that no input decides and that works as it is; you may change it."""

    key: Key
    reason: str


@dataclass
class Draft:
    """``variables`` has the variable of each secret, by its number."""

    ledger: Ledger = field(default_factory=Ledger)
    data: dict[str, Any] = field(default_factory=dict)
    needs: list[Need] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    variables: dict[int, str] = field(default_factory=dict)
    environment: set[str] = field(default_factory=set)
    later: list[tuple[Node, str, Fate]] = field(default_factory=list)

    def put(self, key: Key, value: Any) -> None:
        """Set a value of the fleet file."""
        inner: Any = self.data
        for part, after in pairwise(key):
            if isinstance(inner, list):
                inner = inner[int(part)]
            else:
                inner = inner.setdefault(part, [] if isinstance(after, int) else {})
        if isinstance(inner, list):
            inner.append(value)
        else:
            inner[key[-1]] = value

    def get(self, *key: str | int) -> Any:
        """Return a value of the fleet file, ``None`` if it has none."""
        inner: Any = self.data
        for part in key:
            try:
                inner = inner[part]
            except (KeyError, IndexError, TypeError):
                return None
        return inner

    def need(self, key: Key, placeholder: Any, question: str) -> None:
        """Write a placeholder, and ask for the value."""
        self.put(key, placeholder)
        self.needs.append(Need(key, placeholder, question))

    def choose(self, key: Key, value: Any, reason: str) -> None:
        """Write a value that no input decides."""
        self.put(key, value)
        self.choices.append(Choice(key, reason))

    def take(self, node: Node, target: Key, value: Any = None, reason: str = "") -> None:
        """Set a value (default: that of the node), and give the node its fates."""
        hint = "_".join(str(part) for part in target[1:]) or str(target[-1])
        self.put(target, self.value(node, hint) if value is None else value)
        self.settle(node, target, reason)

    def settle(self, node: Node, target: Key, reason: str = "") -> None:
        """Give ``taken`` to the values of a node, and ``secret`` to its secrets."""
        for leaf in node.leaves():
            if self.ledger.has(leaf):
                continue
            if isinstance(leaf.value, Hidden):
                self.secret(leaf, target)
            else:
                self.ledger.give(leaf, Fate.TAKEN, reason, target)

    def secret(self, leaf: Node, target: Key = (), reason: str = "") -> None:
        """Give a secret its fate."""
        name = self.variables.get(leaf.value.number) if isinstance(leaf.value, Hidden) else None
        reported = f"set the variable {name}" if name and not reason else reason or "not written"
        self.ledger.give(leaf, Fate.SECRET, reported, target)

    def leave(self, node: Node | None, reason: str, fate: Fate = Fate.LEFT_OUT) -> None:
        """Leave out a part of the input. Secrets in it are reported as secrets."""
        for leaf in node.leaves() if node else ():
            if self.ledger.has(leaf):
                continue
            if isinstance(leaf.value, Hidden) and fate != Fate.FOLDED:
                self.secret(leaf, reason=f"not written: {reason}")
            else:
                self.ledger.give(leaf, fate, reason)

    def leave_later(self, node: Node, reason: str, fate: Fate = Fate.LEFT_OUT) -> None:
        """Leave out what nothing else has taken when everything is read."""
        self.later.append((node, reason, fate))

    def leave_rest(self) -> None:
        """Do what ``leave_later`` has put off."""
        for node, reason, fate in self.later:
            self.leave(node, reason, fate)

    def value(self, node: Node, hint: str, *, in_list: bool = False, gateway: bool = True) -> Any:
        """Return the value of a node for the fleet file, with references in place of secrets.

        ``hint`` names the variable of a secret. With ``gateway``, references are LiteLLM's.
        """
        if isinstance(node.value, dict):
            inner = {
                name: self.value(each, f"{hint}_{name}", gateway=gateway)
                for name, each in node.items.items()
            }
            return {name: each for name, each in inner.items() if each is not DROPPED}
        if isinstance(node.value, list):
            found = [self.value(each, hint, in_list=True, gateway=gateway) for each in node.list]
            return [each for each in found if each is not DROPPED]
        if isinstance(node.value, Hidden):
            return DROPPED if in_list or not gateway else self.reference(node.value, hint)
        variable = referred(node.value) if gateway else None
        if variable and not in_list:
            return {"env": variable}
        if gateway and isinstance(node.value, str):
            self.environment.update(re.findall(r"os\.environ/([A-Za-z_]\w*)", node.value))
        if isinstance(node.value, float) and not is_plain(node.value):
            return repr(node.value)
        return node.value

    def reference(self, hidden: Hidden, hint: str) -> dict[str, str]:
        """Return the reference to a secret, under a new variable or that of its first place."""
        if hidden.number not in self.variables:
            name = _spelt(hint)
            taken = set(self.variables.values())
            while name in taken:
                name += "_2"
            self.variables[hidden.number] = name
        return {"env": self.variables[hidden.number]}


def _spelt(text: str) -> str:
    name = "_".join(re.findall("[A-Z0-9]+", text.upper())) or "SECRET"
    return name if not name[0].isdigit() else f"KEY_{name}"


Convert = Callable[[Node], Any]


def whole(node: Node, least: int = 0, most: int = 10**9) -> int | None:
    """Return a whole number within limits, rounded up; ``None`` for anything else."""
    text = node.text.strip()
    if not re.fullmatch(r"\d{1,12}(\.\d+)?", text):
        return None
    number = -int(-float(text) // 1)
    return number if least <= number <= most else None


def is_plain(number: float) -> bool:
    """Return whether plain digits can write a number: a fleet file has no other numbers."""
    return number == 0 or 1e-12 <= abs(number) < 1e12


def boolean(node: Node) -> bool | None:
    """Return a switch: true, false, and the words that people write for them."""
    word = node.text.strip().lower()
    if word in ("true", "1", "yes", "on"):
        return True
    return False if word in ("false", "0", "no", "off") else None


def plain(text: str) -> str:
    """Return a name for a host, a unit or a group."""
    return re.sub("[^a-z0-9.]+", "-", text.lower()).strip(".-")[:63] or "model"


def first(nodes: Iterable[Node | None]) -> Node | None:
    """Return the first node there is."""
    return next((node for node in nodes if node is not None), None)
