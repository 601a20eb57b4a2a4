"""Read YAML and JSON of other programs as trees, with lines and without secrets."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from mirrorfleet.config.problems import Key
from mirrorfleet.config.yaml_nodes import PLAIN, Loader
from mirrorfleet.importing import words
from mirrorfleet.importing.hidden import expanded, referred
from mirrorfleet.importing.nodes import Node, NotReadable, Trees, without_secrets

LARGEST = 100_000
"""Most values of one file, aliases included. A configuration of 500 models has 5,000."""

DEEPEST = 60
"""Most levels of nested mappings and lists."""


def read_json(trees: Trees, text: str, file: str) -> Node:
    """Read JSON. Raises ``NotReadable``."""
    return _Json(trees, text, file).read()


def read_yaml(trees: Trees, text: str, file: str, *, fill: bool = False) -> Node:
    """Read YAML; with ``fill``, variables with a default have it. Raises ``NotReadable``."""
    try:
        _measure(text, file)
        documents = list(yaml.compose_all(text, Loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise NotReadable(file, mark.line + 1 if mark else 0, "not valid YAML") from None
    documents = [each for each in documents if not _is_null(each)]
    if len(documents) > 1:
        raise NotReadable(file, 0, "several YAML documents: give each its own file")
    if not documents:
        return Node({}, file, 1, ())
    return _Yaml(trees, file, fill).build(documents[0], (), ())


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value == ""


def _measure(text: str, file: str) -> None:
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if count > 2 * LARGEST or depth > DEEPEST:
            raise NotReadable(file, 0, "larger or more deeply nested than a configuration")


class _Yaml:
    """Converts PyYAML's nodes. Tags of other programs are ignored, and dates stay text."""

    def __init__(self, trees: Trees, file: str, fill: bool) -> None:
        self.trees, self.file, self.fill, self.count = trees, file, fill, 0
        self.loader = Loader("")

    def build(self, node: yaml.Node, key: Key, parents: tuple[yaml.Node, ...]) -> Node:
        line = node.start_mark.line + 1
        self.count += 1
        if self.count > LARGEST or node in parents:
            raise NotReadable(self.file, line, "an alias that contains itself, or too many values")
        inner = (*parents, node)
        if isinstance(node, yaml.MappingNode):
            value, replaced = self._mapping(node, key, inner)
            return Node(value, self.file, line, without_secrets(key), replaced)
        if special := self._of_compose(node, key, line):
            return special
        if isinstance(node, yaml.SequenceNode):
            items = [self.build(each, (*key, at), inner) for at, each in enumerate(node.value)]
            return Node(items, self.file, line, without_secrets(key))
        return self._leaf(self._scalar(node), line, key)

    def _leaf(self, value: Any, line: int, key: Key) -> Node:
        leaf = self.trees.leaf(value, self.file, line, key)
        if self.fill and isinstance(leaf.value, str) and referred(leaf.value) is None:
            filled = expanded(leaf.value)
            if filled not in (None, leaf.value):
                return self.trees.leaf(filled, self.file, line, key)
        return leaf

    def _of_compose(self, node: yaml.Node, key: Key, line: int) -> Node | None:
        """Return a command of a compose file as words, and a list of variables as a mapping."""
        if len(key) != 3 or key[0] != "services":
            return None
        if key[2] in ("command", "entrypoint"):
            return self._words(node, key, line)
        if key[2] == "environment" and isinstance(node, yaml.SequenceNode):
            found = {}
            for each in node.value:
                name, equals, value = str(each.value).partition("=")
                at = each.start_mark.line + 1
                content = value if equals else f"${{{name}}}"
                found[name] = self._leaf(content, at, (*key, name))
            return Node(found, self.file, line, key)
        return None

    def _words(self, node: yaml.Node, key: Key, line: int) -> Node | None:
        if isinstance(node, yaml.ScalarNode):
            # The text of a block begins on the line after its `>` or `|`.
            line += node.style in (">", "|")
            text = str(node.value).replace("\\\n", " ").replace("\n", " ")
            found = words.split(text)
        else:
            found = []
            for each in node.value:
                at = each.start_mark.line + 1 - line
                parts = words.split(str(each.value)) if "\n" in str(each.value).strip() else []
                found += [part._replace(line=at) for part in parts] or [
                    words.Word(str(each.value), at)
                ]
        return words.command(
            self.trees, [w for w in found if w.text != words.END], self.file, line, key
        )

    def _mapping(
        self, node: yaml.MappingNode, key: Key, parents: tuple[yaml.Node, ...]
    ) -> tuple[dict[str, Node], tuple[Node, ...]]:
        found: dict[str, Node] = {}
        own: set[str] = set()
        replaced: list[Node] = []
        for name_node, value in node.value:
            name = self.trees.name(
                name_node.value if isinstance(name_node, yaml.ScalarNode) else "?"
            )
            if name_node.tag.endswith(":merge"):
                bases = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for base in bases:
                    merged = self.build(base, key, parents)
                    found |= {each: at for each, at in merged.items.items() if each not in found}
                continue
            tree = self.build(value, (*key, name), parents)
            if name in own:
                replaced.append(found[name])
            own.add(name)
            found[name] = tree
        return found, tuple(replaced)

    def _scalar(self, node: yaml.Node) -> Any:
        plain = node.tag in PLAIN and not node.tag.endswith(":str")
        if not plain:
            return node.value
        if node.tag.endswith(":int") and not re.fullmatch(r"[-+]?\d{1,18}", node.value):
            return node.value
        try:
            return self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError, LookupError, OverflowError):
            return node.value


class _Json:
    """A parser of strict JSON that knows the lines."""

    TOKEN = re.compile(
        r'[ \t\r\n]*([{}\[\]:,]|"(?:[^"\\\x00-\x1f]|\\.)*"|[^\s{}\[\]:,"]+)', re.DOTALL
    )

    def __init__(self, trees: Trees, text: str, file: str) -> None:
        self.trees, self.text, self.file = trees, text.removeprefix("\ufeff"), file
        self.at = self.count = self.start = 0
        self.token = ""

    def read(self) -> Node:
        self._next()
        tree = self._value((), 0)
        if self.text[self.at :].strip():
            raise self._error()
        return tree

    def _next(self) -> str:
        found = self.TOKEN.match(self.text, self.at)
        if found is None:
            raise self._error()
        self.token, self.at, self.start = found[1], found.end(), found.start(1)
        return self.token

    def _line(self) -> int:
        return self.text.count("\n", 0, self.start) + 1

    def _error(self) -> NotReadable:
        return NotReadable(self.file, self.text.count("\n", 0, self.at) + 1, "not valid JSON")

    def _value(self, key: Key, depth: int) -> Node:
        self.count += 1
        if depth > DEEPEST or self.count > LARGEST:
            raise NotReadable(self.file, 0, "larger or more deeply nested than a configuration")
        line = self._line()
        if self.token == "[":
            items: list[Node] = []
            while self._next() != "]" or items:
                items.append(self._value((*key, len(items)), depth + 1))
                if self._next() == "]":
                    break
                self._expect(",")
            return Node(items, self.file, line, without_secrets(key))
        if self.token == "{":
            return self._object(key, depth, line)
        return self.trees.leaf(self._scalar(), self.file, line, key)

    def _object(self, key: Key, depth: int, line: int) -> Node:
        found: dict[str, Node] = {}
        replaced: list[Node] = []
        while self._next() != "}" or found:
            if not self.token.startswith('"'):
                raise self._error()
            name = self.trees.name(str(self._scalar()))
            self._next()
            self._expect(":")
            self._next()
            if name in found:
                replaced.append(found[name])
            found[name] = self._value((*key, name), depth + 1)
            if self._next() == "}":
                break
            self._expect(",")
        return Node(found, self.file, line, without_secrets(key), tuple(replaced))

    def _expect(self, token: str) -> None:
        if self.token != token:
            raise self._error()

    def _scalar(self) -> Any:
        try:
            return json.loads(self.token)
        except ValueError:
            raise self._error() from None
