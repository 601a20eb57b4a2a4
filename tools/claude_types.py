"""What the client's own validators accept, read from its source as JSON schemas.

The source is minified: each release has other names for the same validators. So the basic ones are
learned from settings whose types cannot change. Other names are followed to their definitions, in
the same module or in the one that exports them. What is not understood accepts anything.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any

from tools.javascript import CALL, chain, expression, split

Schema = dict[str, Any]

DEPTH = 12
"""Validators inside one another that are followed."""

FOLLOWED = re.compile(r"[\w$]{2,} [\w$]*")
"""A name that is called with nothing, or with a name. Those of one letter are of some function."""

LIST = r"\[(?:\.\.\.[\w$]+,?|\"[^\"]*\",?)*\]"
EXPORTS = re.compile(rb"export\{([^{}]*)\};")
UNDERSTOOD = frozenset(
    {
        *("optional", "describe", "catch", "default", "meta", "readonly", "strict", "passthrough"),
        *("min", "max", "gt", "gte", "lt", "lte", "int", "positive", "nonnegative"),
        *("url", "regex", "startsWith", "refine", "check", "superRefine", "transform"),
    }
)
"""Methods after which a validator accepts no other kind of thing than before."""


@dataclass(frozen=True)
class Names:
    """The names that one release gives the basic validators."""

    text: str
    boolean: str
    number: str
    array: str
    enum: str
    thing: str
    literal: str
    mapping: str
    union: str
    lazy: str

    @classmethod
    def learned(cls, said: Mapping[str, str]) -> Names:
        """Learn them from the validators of settings, by the settings' names."""
        line = said["statusLine"]
        literal = re.search(r"type:([\w$]+)\(\"command\"\)", line)
        return cls(
            text=_called(said["$schema"]),
            boolean=_called(said["verbose"]),
            number=_called(said["cleanupPeriodDays"]),
            array=_called(said["deniedModels"]),
            enum=_called(said["autoUpdatesChannel"]),
            thing=_called(line),
            literal=literal[1] if literal else "",
            mapping=_called(said["modelOverrides"]),
            union=_called(said["forceLoginOrgUUID"]),
            lazy=_called(said["hooks"]),
        )


def _called(said: str) -> str:
    found = CALL.match(said)
    return found[1] if found else ""


@dataclass(frozen=True)
class Modules:
    """The modules of a bundle: each ends with the list of names that it exports."""

    bundle: bytes
    ends: tuple[int, ...]
    exports: Mapping[str, int]

    @classmethod
    def found(cls, bundle: bytes) -> Modules:
        ends: list[int] = []
        exports: dict[str, int] = {}
        for each in EXPORTS.finditer(bundle):
            for name in each[1].decode("latin-1").split(","):
                exports[name.split(" as ")[-1]] = len(ends)
            ends.append(each.start())
        return cls(bundle, (*ends, len(bundle)), exports)

    def at(self, place: int) -> int:
        """Return which module a place of the bundle is in."""
        return bisect_right(self.ends, place)

    @cache  # noqa: B019 there is one bundle, and it lives as long
    def source(self, module: int) -> str:
        start = self.ends[module - 1] if module else 0
        return self.bundle[start : self.ends[module]].decode("latin-1")

    def __hash__(self) -> int:
        return id(self)


@dataclass(frozen=True)
class Reader:
    """Reads validators as they stand in one module."""

    modules: Modules
    module: int
    names: Names
    known: dict[tuple[int, str], Schema] = field(default_factory=dict)

    def schema(self, said: str, depth: int = 0) -> Schema:
        """Return what a validator accepts; ``{}`` accepts anything."""
        said = said.strip().removeprefix("()=>")
        call = chain(said)
        if call is None or depth > DEPTH:
            return {}
        name, given, methods = call
        if not UNDERSTOOD.issuperset(methods):
            return {}
        schema = self._of(name, split(given), depth + 1)
        if "passthrough" in methods:
            schema = {key: each for key, each in schema.items() if key != "additionalProperties"}
        return schema

    def _of(self, name: str, given: list[str], depth: int) -> Schema:
        names = self.names
        plain = {names.text: "string", names.boolean: "boolean", names.number: "number"}
        if name in plain:
            return {"type": plain[name]}
        if name == names.lazy and given:
            return self.schema(given[0], depth)
        if name == names.array and given:
            inner = self.schema(given[0], depth)
            return {"type": "array", **({"items": inner} if inner else {})}
        if name == names.enum and given:
            words = self._words(given[0])
            return {"enum": words} if words else {}
        if name == names.literal and given:
            word = self._words(f"[{given[0]}]")
            return {"enum": word} if word else {}
        if name == names.thing and given and given[0].startswith("{"):
            return self._thing(given[0], depth)
        if name == names.union and given:
            return self._union(split(given[0][1:-1]), depth)
        if name == names.mapping:
            return self._mapping(given, depth)
        return self._named(name, given, depth)

    def _named(self, name: str, given: list[str], depth: int) -> Schema:
        """Follow a name to its definition, or take it for another kind of union or mapping."""
        if len(given) >= 2 and given[0].startswith('"') and given[1].startswith("["):
            return self._union(split(given[1][1:-1]), depth)
        if len(given) == 2 and given[0].startswith(f"{self.names.enum}("):
            return self._mapping(given, depth)
        if not FOLLOWED.fullmatch(f"{name} {','.join(given)}"):
            return {}
        place = (self.module, name)
        if place not in self.known:
            self.known[place] = {}  # while it is read: it may contain itself
            self.known[place] = self._defined(name, depth)
        return self.known[place]

    def _defined(self, name: str, depth: int) -> Schema:
        for where in self._where(name):
            source, word = where.modules.source(where.module), re.escape(name)
            for start in (
                rf"(?<![\w$.]){word}=[\w$]+\(\(\)=>",
                rf"(?<![\w$.])function {word}\(\w*\)\{{return ",
                rf"(?<![\w$.]){word}=\(\)=>",
                rf"(?<![\w$.]){word}=(?={re.escape(self.names.thing)}\()",
            ):
                if found := re.search(start, source):
                    return where.schema(expression(source, found.end()), depth)
        return {}

    def _where(self, name: str) -> Iterator[Reader]:
        """Yield readers of the modules that may define a name."""
        yield self
        if name in self.modules.exports:
            yield replace(self, module=self.modules.exports[name])

    def _thing(self, said: str, depth: int) -> Schema:
        """Return the schema of an object. With a part that is not understood, it may hold more."""
        properties, needed, whole = {}, [], True
        for part in split(said.strip()[1:-1]):
            if part.startswith("..."):
                whole = whole and part in ("...!1", "...{}", "...void 0")
                continue
            found = re.match(r'(?:"([^"]+)"|([\w$]+)):', part)
            if not found:
                whole = False
                continue
            name, value = found[1] or found[2], part[found.end() :]
            properties[name] = self.schema(value, depth)
            if self._is_needed(value):
                needed.append(name)
        schema: Schema = {"type": "object", "properties": properties}
        if needed:
            schema["required"] = needed
        return {**schema, "additionalProperties": False} if whole else schema

    def _is_needed(self, said: str) -> bool:
        """Must an object have this? Another name may stand for something optional."""
        call, names = chain(said.strip()), self.names
        basic = {getattr(names, each.name) for each in fields(names)} - {names.lazy}
        optional = {"optional", "catch", "default", "nullish"}
        return call is not None and call[0] in basic and not optional.intersection(call[2])

    def _union(self, given: list[str], depth: int) -> Schema:
        if any(each.startswith("...") for each in given):
            inner = [split(each[4:-1]) for each in given if each.startswith("...[")]
            given = [one for each in inner for one in each]
        found = [self.schema(each, depth) for each in given]
        return {"anyOf": found} if found and all(found) else {}

    def _mapping(self, given: list[str], depth: int) -> Schema:
        key = self.schema(given[0], depth) if len(given) > 1 else {}
        value = self.schema(given[-1], depth) if given else {}
        schema: Schema = {"type": "object"}
        if "enum" in key:
            schema["propertyNames"] = key
        return {**schema, **({"additionalProperties": value} if value else {})}

    def _words(self, said: str) -> list[str]:
        """Return the words of a list, which may stand elsewhere, or be made of others."""
        said = said.strip()
        if re.fullmatch(r"[\w$]+", said):
            for where in self._where(said):
                pattern = rf"(?<![\w$.]){re.escape(said)}=({LIST})"
                if found := re.search(pattern, where.modules.source(where.module)):
                    return where._words(found[1])
        if not said.startswith("["):
            return []
        words: list[str] = []
        for part in split(said[1:-1]):
            if part.startswith("..."):
                inner = self._words(part[3:])
                if not inner:
                    return []
                words += inner
            elif part.startswith('"'):
                words.append(json.loads(part))
            else:
                return []
        return words
