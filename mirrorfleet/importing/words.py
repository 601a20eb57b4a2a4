"""Shell words with their lines, and commands, systemd units, Modelfiles and files of variables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from mirrorfleet.config.problems import Key
from mirrorfleet.importing.hidden import Hidden
from mirrorfleet.importing.nodes import Node, Trees

END = "\n"
"""The word between two commands."""


class Word(NamedTuple):
    """A word of a command line, without its quotes, and its line counted from 0."""

    text: str
    line: int


def split(text: str, *, comments: bool = False) -> list[Word]:
    """Return the words of a shell command. ``END`` stands between commands. Nothing is expanded."""
    found: list[Word] = []
    word: str | None = None
    at = line = start = 0
    while at < len(text):
        char, pair = text[at], text[at : at + 2]
        if pair == "\\\n" or text[at : at + 3] == "\\\r\n":
            at, line = at + (2 if pair == "\\\n" else 3), line + 1
            continue
        if char in "'\"":
            end = _closing(text, at)
            word, start = ("", line) if word is None else (word, start)
            inside = text[at + 1 : end]
            word += (
                inside if char == "'" else re.sub(r'\\(["\\$`])', r"\1", inside.replace("\\\n", ""))
            )
            line += inside.count("\n")
            at = end + 1
            continue
        if pair == "$(" or char == "`":
            end = substituted(text, at)
            word, start = ("", line) if word is None else (word, start)
            word += text[at:end]
            line += text[at:end].count("\n")
            at = end
            continue
        if char.isspace() or char in ";|&()":
            if word is not None:
                found.append(Word(word, start))
                word = None
            if char in "\n;|&()" and (not found or found[-1].text != END):
                found.append(Word(END, line))
            line += char == "\n"
        elif char == "#" and word is None and comments:
            at = text.find("\n", at)
            if at < 0:
                break
            continue
        else:
            word, start = ("", line) if word is None else (word, start)
            if char == "\\" and at + 1 < len(text):
                at += 1
                char = text[at]
            word += char
        at += 1
    return found if word is None else [*found, Word(word, start)]


def substituted(text: str, at: int) -> int:
    """Return the end of the command at ``at`` whose output is a part of a word."""
    if text[at] == "`":
        end = text.find("`", at + 1)
        return len(text) if end < 0 else end + 1
    depth = 0
    for end in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        if text[end] == ")" and depth == 0:
            return end + 1
    return len(text)


def _closing(text: str, at: int) -> int:
    """Return the place of the closing quote, or the end of the text."""
    quote, end = text[at], at + 1
    while end < len(text) and text[end] != quote:
        end += 2 if text[end] == "\\" and quote == '"' else 1
    return min(end, len(text))


ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


def command(trees: Trees, words: list[Word], file: str, line: int, key: Key) -> Node:
    """Return the words of one command as nodes, with the secrets of its options hidden."""
    items = []
    option = ""
    for at, word in enumerate(list(_nested(words))):
        named = re.match(r"--?[A-Za-z][\w.-]*", word.text)
        place = (*key, named[0] if named else option or at)
        items.append(_word(trees, word, option, file, line, place))
        option = word.text if named and named[0] == word.text else ""
    return Node(items, file, line, key)


def _nested(words: list[Word]) -> Iterator[Word]:
    """Yield the words, with those of `sh -c "vllm serve ..."` in place of its text."""
    for word in words:
        inner = [] if " " not in word.text or not _INNER.search(word.text) else split(word.text)
        yield from (part._replace(line=word.line + part.line) for part in inner if part.text != END)
        if not inner:
            yield word


_INNER = re.compile(r"\b(vllm serve|vllm\.entrypoints|litellm --|ollama serve)")


def _word(trees: Trees, word: Word, option: str, file: str, line: int, key: Key) -> Node:
    name, equals, value = word.text.partition("=")
    if option in ("-e", "--env") and ASSIGNMENT.fullmatch(word.text):
        return trees.leaf(value, file, line + word.line, (*key[:-1], name))
    if equals and re.fullmatch(r"(--?)?[A-Za-z_][\w-]*", name):
        hidden = trees.secrets.hide(name.lstrip("-"), value)
        if isinstance(hidden, Hidden):
            return Node(hidden, file, line + word.line, (*key[:-1], name))
    hidden = trees.secrets.hide(option.lstrip("-") or "word", word.text)
    return Node(hidden, file, line + word.line, key)


def variables(trees: Trees, words: list[Word], file: str, line: int, key: Key) -> dict[str, Node]:
    """Return assignments, NAME=VALUE, by name."""
    found = {}
    for word in words:
        if match := ASSIGNMENT.fullmatch(word.text):
            found[match[1]] = trees.leaf(match[2], file, line + word.line, (*key, match[1]))
    return found


def unit(trees: Trees, text: str, file: str, first: int = 0) -> Node:
    """Return a systemd unit or drop-in: sections, and for each key the list of its values."""
    sections: dict[str, Node] = {}
    keys: dict[str, Node] = {}
    section = ""
    for line, content in _lines(text):
        if header := re.fullmatch(r"\[(\w[\w -]*)\]\s*", content):
            section = header[1]
            node = sections.setdefault(section, Node({}, file, first + line, (section,)))
            keys = node.value
            continue
        name, equals, value = content.partition("=")
        if not equals or not section:
            continue
        name, key = name.strip(), (section, name.strip())
        values = keys.setdefault(name, Node([], file, first + line, key))
        values.value.append(
            _value(trees, name, value.strip(), file, first + line, key, len(values.list))
        )
    return Node(sections, file, first + 1, ())


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a unit, with continued lines joined, and their numbers from 1."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        start, content = at, lines[at].rstrip("\r")
        while content.endswith("\\") and at + 1 < len(lines):
            at += 1
            following = lines[at].rstrip("\r")
            if not following.lstrip().startswith(("#", ";")):
                content = (
                    content[:-1] + "\\\n" + following
                    if "Exec" in content
                    else content[:-1] + " " + following
                )
        at += 1
        if content.strip() and not content.lstrip().startswith(("#", ";")):
            yield start + 1, content.strip()


def _value(trees: Trees, name: str, value: str, file: str, line: int, key: Key, at: int) -> Node:
    if name == "Environment" and value:
        found = variables(trees, split(value), file, line, key)
        return Node(found, file, line, (*key, at)) if found else Node(None, file, line, (*key, at))
    if name.startswith("Exec") and value:
        words = [word for word in split(value) if word.text != END]
        return command(trees, words, file, line, (*key, at))
    return trees.leaf(value or None, file, line, (*key, at) if at else key)


KEPT = ("OLLAMA_", "VLLM_", "CUDA_", "NCCL_", "LITELLM_", "HF_HOME", "HF_HUB_")
"""Prefixes of variables whose values are read from a file; of others only the name is."""


def environment(trees: Trees, text: str, file: str, first: int = 0) -> Node:
    """Return the variables of a file such as .env. Most values are not read, only their names."""
    found: dict[str, Node] = {}
    for line, content in enumerate(text.splitlines(), first + 1):
        match = ASSIGNMENT.fullmatch(content.strip().removeprefix("export ").strip())
        if match is None or content.lstrip().startswith("#"):
            continue
        name, value = match[1], match[2].strip().strip("'\"")
        if name.startswith(KEPT) or not value:
            found[name] = trees.leaf(value or None, file, line, (name,))
        else:
            found[name] = Node(UNREAD, file, line, (name,))
    return Node(found, file, first + 1, ())


UNREAD = Hidden(-1)
"""A value of a file of variables, which is never read."""


def modelfile(trees: Trees, text: str, file: str) -> Node:
    """Return the instructions of a Modelfile: a list for each name, parameters by their names."""
    found: dict[str, Node] = {}
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        start, line = at, lines[at].strip()
        at += 1
        if not line or line.startswith("#"):
            continue
        while line.count('"""') == 1 and at < len(lines):
            line += "\n" + lines[at]
            at += 1
        name, _, value = line.partition(" ")
        name = name.upper()
        if name == "PARAMETER":
            parameter, _, value = value.strip().partition(" ")
            name = f"PARAMETER {parameter.lower()}"
        values = found.setdefault(name, Node([], file, start + 1, (name,)))
        leaf = trees.leaf(
            value.strip().strip('"') or None, file, start + 1, (name, len(values.list))
        )
        values.value.append(leaf)
    return Node(found, file, 1, ())
