"""Shell scripts: their commands, the variables that they set, and arrays of arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mirrorfleet.importing.hidden import expanded
from mirrorfleet.importing.nodes import Node, Trees
from mirrorfleet.importing.words import (
    ASSIGNMENT,
    END,
    Word,
    command,
    split,
    substituted,
    variables,
)

ARRAY = re.compile(r"^[ \t]*(?:local |declare -a )?([A-Za-z_]\w*)\+?=(\()", re.MULTILINE)
ELEMENTS = re.compile(r"\$\{([A-Za-z_]\w*)\[[@*]\][^}]*\}")

STARTS = re.compile(r"vllm|ollama|litellm")
"""Words of commands whose arguments are read from arrays."""

PRINTS = ("echo", "printf", "cat", "log", "info", "logger")
"""Commands that print the words of another command."""


def script(trees: Trees, text: str, file: str) -> Node:
    """Return the commands of a shell script, and its variables: those of programs, and others.

    ``environment`` are exported variables and those before a command; ``variables`` only the
    script has, and its commands can refer to them.
    """
    text, arrays = _arrays(text)
    assigned: dict[str, Node] = {}
    environment: dict[str, Node] = {}
    commands: list[Node] = []
    exported: set[str] = set()
    used: set[str] = set()
    for words in [*_commands(text)]:
        first, begin = words[0].text, 0
        if first in ("export", "declare", "set", "Environment"):
            exported |= {word.text for word in words[1:]} if first == "export" else set()
            begin = 1 if ASSIGNMENT.fullmatch(words[1].text if words[1:] else "") else 0
        end = next(
            (at for at in range(begin, len(words)) if not ASSIGNMENT.fullmatch(words[at].text)),
            len(words),
        )
        is_of_programs = first in ("export", "Environment") or end < len(words)
        for word in words[begin:end]:
            found = variables(trees, [_filled(word)], file, 1, ("environment",))
            (environment if is_of_programs else assigned).update(found)
        rest = words[end:] if begin or end else words
        if rest and rest[0].text not in PRINTS and any(STARTS.search(each.text) for each in rest):
            rest = [*_elements(rest, arrays, used)]
        if rest:
            commands.append(command(trees, rest, file, 1, ("commands", len(commands))))
    for name in arrays.keys() - used:
        commands.append(command(trees, arrays[name], file, 1, ("commands", len(commands))))
    environment |= {name: assigned.pop(name) for name in [*assigned] if name in exported}
    if not commands:  # a file of variables, such as /etc/default/ollama
        environment |= assigned
        assigned = {}
    inner = {
        "variables": Node(assigned, file, 1, ("variables",)),
        "environment": Node(environment, file, 1, ("environment",)),
        "commands": Node(commands, file, 1, ("commands",)),
    }
    return Node({name: node for name, node in inner.items() if node.value}, file, 1, ())


def _filled(word: Word) -> Word:
    """Return an assignment with the default of its variable, NAME="${NAME:-DEFAULT}"."""
    filled = expanded(word.text)
    return word if filled is None else word._replace(text=filled)


def _commands(text: str) -> Iterator[list[Word]]:
    words: list[Word] = []
    for word in [*split(text, comments=True), Word(END, 0)]:
        if word.text != END:
            words.append(word)
        elif words:
            yield words
            words = []


def _arrays(text: str) -> tuple[str, dict[str, list[Word]]]:
    """Return a script without its arrays, each line in its place, and the words of each array."""
    found: dict[str, list[Word]] = {}
    at, parts = 0, []
    for match in ARRAY.finditer(text):
        if match.start() < at:
            continue
        end = substituted(text, match.start(2))
        line = text.count("\n", 0, match.end())
        inner = split(text[match.end() : end - 1], comments=True)
        words = [word._replace(line=word.line + line) for word in inner if word.text != END]
        if words:
            found.setdefault(match[1], []).extend(words)
        parts += [text[at : match.start()], "\n" * text.count("\n", match.start(), end)]
        at = end
    return "".join([*parts, text[at:]]), found


def _elements(words: list[Word], arrays: dict[str, list[Word]], used: set[str]) -> Iterator[Word]:
    """Yield the words of a command, with those of arrays that it refers to in their place."""
    for word in words:
        match = ELEMENTS.fullmatch(word.text)
        if match and match[1] in arrays:
            used.add(match[1])
            yield from arrays[match[1]]
        else:
            yield word
