"""JSON schemas of the client's settings, read from the validators in its source.

The source is minified: each release has other names for the same validators. The names of the basic
validators come from settings whose types cannot change. Other names are resolved to their
definitions, in the same module or in the one that exports them. A validator that cannot be read
accepts anything.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any

from mirrorfleet.locking.javascript import CALL, chain, expression, split

Schema = dict[str, Any]

DEPTH = 12
"""The maximum number of nested validators."""

FOLLOWED = re.compile(r"[\w$]{2,} [\w$]*|[\w$] ")
"""A call that is resolved: without arguments, or with one name."""

LIST = r"\[(?:\.\.\.[\w$]+,?|\"[^\"]*\",?)*\]"
EXPORTS = re.compile(rb"export\{([^{}]*)\};")
UNDERSTOOD = frozenset(
    {
        *("optional", "describe", "catch", "default", "meta", "readonly", "strict", "passthrough"),
        *("min", "max", "gt", "gte", "lt", "lte", "int", "positive", "nonnegative"),
        *("url", "regex", "startsWith", "refine", "check", "superRefine", "transform"),
    }
)
"""Methods that do not change the type that a validator accepts."""


@dataclass(frozen=True)
class Names:
    """The names of the basic validators in one release."""

    text: str
    boolean: str
    number: str
    array: str
    enum: str
    object: str
    literal: str
    mapping: str
    union: str
    lazy: str

    @classmethod
    def learned(cls, validators: Mapping[str, str]) -> Names:
        """Return the names from the validators of settings, given by the settings' names."""
        line = validators["statusLine"]
        literal = re.search(r"type:([\w$]+)\(\"command\"\)", line)
        return cls(
            text=_callee(validators["$schema"]),
            boolean=_callee(validators["verbose"]),
            number=_callee(validators["cleanupPeriodDays"]),
            array=_callee(validators["deniedModels"]),
            enum=_callee(validators["autoUpdatesChannel"]),
            object=_callee(line),
            literal=literal[1] if literal else "",
            mapping=_callee(validators["modelOverrides"]),
            union=_callee(validators["forceLoginOrgUUID"]),
            lazy=_callee(validators["hooks"]),
        )


def _callee(code: str) -> str:
    found = CALL.match(code)
    return found[1] if found else ""


@dataclass(frozen=True)
class Modules:
    """The modules of a bundle. Each ends with the list of its exported names."""

    bundle: bytes
    ends: tuple[int, ...]
    exports: Mapping[str, int]

    @classmethod
    def found(cls, bundle: bytes) -> Modules:
        ends: list[int] = []
        exports: dict[str, int] = {}
        for export in EXPORTS.finditer(bundle):
            for name in export[1].decode("latin-1").split(","):
                exports[name.split(" as ")[-1]] = len(ends)
            ends.append(export.start())
        return cls(bundle, (*ends, len(bundle)), exports)

    def at(self, position: int) -> int:
        """Return the number of the module at a position of the bundle."""
        return bisect_right(self.ends, position)

    @cache  # noqa: B019 there is one bundle, which is never freed
    def source(self, module: int) -> str:
        start = self.ends[module - 1] if module else 0
        return self.bundle[start : self.ends[module]].decode("latin-1")

    def __hash__(self) -> int:
        return id(self)


@dataclass(frozen=True)
class Reader:
    """A reader of the validators in one module."""

    modules: Modules
    module: int
    names: Names
    known: dict[tuple[int, str], Schema] = field(default_factory=dict)

    def schema(self, code: str, depth: int = 0) -> Schema:
        """Return the schema of a validator; ``{}`` accepts anything."""
        code = code.strip().removeprefix("()=>")
        call = chain(code)
        if call is None or depth > DEPTH:
            return {}
        name, arguments, methods = call
        if not UNDERSTOOD.issuperset(methods):
            return {}
        schema = self._of(name, split(arguments), depth + 1)
        if "passthrough" in methods:
            schema = {key: value for key, value in schema.items() if key != "additionalProperties"}
        return schema

    def _of(self, name: str, arguments: list[str], depth: int) -> Schema:
        names = self.names
        plain = {names.text: "string", names.boolean: "boolean", names.number: "number"}
        if name in plain:
            return {"type": plain[name]}
        if name == names.lazy and arguments:
            return self.schema(arguments[0], depth)
        if name == names.array and arguments:
            inner = self.schema(arguments[0], depth)
            return {"type": "array", **({"items": inner} if inner else {})}
        if name == names.enum and arguments:
            words = self._words(arguments[0])
            return {"enum": words} if words else {}
        if name == names.literal and arguments:
            word = self._words(f"[{arguments[0]}]")
            return {"enum": word} if word else {}
        if name == names.object and arguments and arguments[0].startswith("{"):
            return self._object(arguments[0], depth)
        if name == names.union and arguments:
            return self._union(split(arguments[0][1:-1]), depth)
        if name == names.mapping:
            return self._mapping(arguments, depth)
        return self._named(name, arguments, depth)

    def _named(self, name: str, arguments: list[str], depth: int) -> Schema:
        """Resolve a name to its definition, or treat it as another kind of union or mapping."""
        if len(arguments) >= 2 and arguments[0].startswith('"') and arguments[1].startswith("["):
            return self._union(split(arguments[1][1:-1]), depth)
        if len(arguments) == 2 and arguments[0].startswith(f"{self.names.enum}("):
            return self._mapping(arguments, depth)
        if not FOLLOWED.fullmatch(f"{name} {','.join(arguments)}"):
            return {}
        place = (self.module, name)
        if place not in self.known:
            self.known[place] = {}  # for recursive definitions
            self.known[place] = self._defined(name, depth)
        return self.known[place]

    def _defined(self, name: str, depth: int) -> Schema:
        if len(name) == 1:
            return self._short(name, depth)
        for where in self._where(name):
            source, word = where.modules.source(where.module), re.escape(name)
            for start in (
                rf"(?<![\w$.]){word}=[\w$]+\(\(\)=>",
                rf"(?<![\w$.])function {word}\(\w*\)\{{return ",
                rf"(?<![\w$.]){word}=\(\)=>",
                rf"(?<![\w$.]){word}=(?={re.escape(self.names.object)}\()",
            ):
                if found := re.search(start, source):
                    return where.schema(expression(source, found.end()), depth)
        return {}

    def _short(self, name: str, depth: int) -> Schema:
        """Resolve a name of one letter. Most are local: a module must define it exactly once."""
        source = self.modules.source(self.module)
        found = [*re.finditer(rf"(?<![\w$.]){re.escape(name)}=[\w$]+\(\(\)=>", source)]
        return self.schema(expression(source, found[0].end()), depth) if len(found) == 1 else {}

    def _where(self, name: str) -> Iterator[Reader]:
        """Yield readers of the modules that can define a name."""
        yield self
        if name in self.modules.exports:
            yield replace(self, module=self.modules.exports[name])

    def _object(self, code: str, depth: int) -> Schema:
        """Return the schema of an object; it is open if a part cannot be read."""
        properties, needed, complete = {}, [], True
        for part in split(code.strip()[1:-1]):
            if part.startswith("..."):
                complete = complete and part in ("...!1", "...{}", "...void 0")
                continue
            found = re.match(r'(?:"([^"]+)"|([\w$]+)):', part)
            if not found:
                complete = False
                continue
            name, value = found[1] or found[2], part[found.end() :]
            properties[name] = self.schema(value, depth)
            if self._is_needed(value):
                needed.append(name)
        schema: Schema = {"type": "object", "properties": properties}
        if needed:
            schema["required"] = needed
        return {**schema, "additionalProperties": False} if complete else schema

    def _is_needed(self, code: str) -> bool:
        """Return whether a property is required. A name may refer to an optional validator."""
        call, names = chain(code.strip()), self.names
        basic = {getattr(names, item.name) for item in fields(names)} - {names.lazy}
        optional = {"optional", "catch", "default", "nullish"}
        return call is not None and call[0] in basic and not optional.intersection(call[2])

    def _union(self, arguments: list[str], depth: int) -> Schema:
        if any(item.startswith("...") for item in arguments):
            spread = [split(item[4:-1]) for item in arguments if item.startswith("...[")]
            arguments = [item for items in spread for item in items]
        found = [self.schema(item, depth) for item in arguments]
        return {"anyOf": found} if found and all(found) else {}

    def _mapping(self, arguments: list[str], depth: int) -> Schema:
        key = self.schema(arguments[0], depth) if len(arguments) > 1 else {}
        value = self.schema(arguments[-1], depth) if arguments else {}
        schema: Schema = {"type": "object"}
        if "enum" in key:
            schema["propertyNames"] = key
        return {**schema, **({"additionalProperties": value} if value else {})}

    def _words(self, code: str) -> list[str]:
        """Return the strings of a list, which may be a name, or contain other lists."""
        code = code.strip()
        if re.fullmatch(r"[\w$]+", code):
            for where in self._where(code):
                pattern = rf"(?<![\w$.]){re.escape(code)}=({LIST})"
                if found := re.search(pattern, where.modules.source(where.module)):
                    return where._words(found[1])
        if not code.startswith("["):
            return []
        words: list[str] = []
        for part in split(code[1:-1]):
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
