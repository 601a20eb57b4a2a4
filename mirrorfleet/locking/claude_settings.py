"""The settings, variables, capabilities and model ids of a release of Claude Code."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mirrorfleet.locking.claude_types import Modules, Names, Reader
from mirrorfleet.locking.javascript import split, within

# The client's bundle contains its source: one object maps each setting to a validator.
START = b"return{$schema:()=>"
SETTING = re.compile(r"[,{](\$?[A-Za-z]\w*):\(\)=>")

# Settings of optional parts of a build are beside it; the parts of this build have !0.
PART = re.compile(r"buildGate:\(\)=>!0,shape:\(\)=>\(\{")
INNER = re.compile(r"(?:^|,)([A-Za-z]\w*):(?=[\w$]+\()")

MANAGED = re.compile(
    r"^.{0,40}(Managed settings only|set in (device )?managed settings)"
    r"|only (enforced|honored) from managed|honored from managed settings only"
    r"|honored only from admin",
    re.IGNORECASE,
)

# Variables that the client exports internally or reads directly, and those in lists of names, such
# as the variables that a project may set. A search for words in capitals would also find parts of
# names, error codes, and options of its JavaScript engine.
# Each pattern begins with a literal, for which re looks quickly: the client has 380 MB.
LIST = re.compile(rb"=\{\};[\w$]+\(([\w$]+),\{((?:\w+:\(\)=>[\w$]+,?)+)\}\)")
NAME = re.compile(rb"(\w+):\(\)=>")
READ = re.compile(rb"process\.env\.([A-Z]\w+)")
MEMBERS = (re.compile(rb"\.(ANTHROPIC_\w+)"), re.compile(rb"\.(CLAUDE_\w+)"))
WORDS = re.compile(rb'\[((?:"\w+",?){4,})\]')
OWN = re.compile(rb"\b(?:ANTHROPIC|API|BASH|CLAUDE|DISABLE|ENABLE|MAX|MCP|OTEL|TASK)_\w+")


def settings(bundle: bytes) -> dict[str, dict[str, Any]]:
    """Return the known part of each setting's type, by the setting's name."""
    at = bundle.index(START)
    modules = Modules.found(bundle)
    module = modules.at(at)
    source = modules.source(module)
    start = source.index(START.decode()) + len("return{")
    validators = {**dict(_listed("{" + within(source, start))), **dict(_parts(source))}
    reader = Reader(modules, module, Names.learned(validators))
    schemas = {}
    for name, validator in validators.items():
        schema = reader.schema(validator)
        if MANAGED.search("".join(re.findall(r"describe\(.(.*)", validator, re.DOTALL))):
            schema = {**schema, "managedOnly": True}
        schemas[name] = schema
    return schemas


def _listed(source: str) -> Iterator[tuple[str, str]]:
    """Yield each setting of the list with its validator."""
    found = list(SETTING.finditer(source))
    ends = [match.start() for match in found[1:]] + [len(source)]
    for match, end in zip(found, ends, strict=True):
        yield match[1], source[match.end() : end]


def _parts(source: str) -> Iterator[tuple[str, str]]:
    """Yield the settings of the parts that this build has."""
    for part in PART.finditer(source):
        for setting in split(within(source, part.end())):
            if found := INNER.match(setting):
                yield found[1], setting[found.end() :]


def environment(bundle: bytes) -> list[str]:
    """Return the names of the environment variables that the client reads."""
    names = set(READ.findall(bundle))
    for pattern in MEMBERS:
        names.update(
            found[1] for found in pattern.finditer(bundle) if before(bundle, found).isalnum()
        )
    lists = [
        NAME.findall(found[2])
        for found in LIST.finditer(bundle)
        if bundle.endswith(found[1], 0, found.start())
    ]
    lists += [OWN.findall(words) for words in WORDS.findall(bundle)]
    for words in lists:
        if any(name.startswith((b"ANTHROPIC_", b"CLAUDE_")) for name in words):
            names.update(words)
    return sorted(
        name.decode() for name in names if re.fullmatch(rb"_?[A-Z][A-Z0-9_]*[A-Z0-9]", name)
    )


# The catalog of models is an object in the client's source: the default of each tier stands in it.
TIERS = re.compile(rb"\],aliases:\{((?:\w+:\{default:\"[\w-]+\",per_provider:\{[^{}]*\}\},?)+)\}")
DEFAULT = re.compile(r'(\w+):\{default:"([\w-]+)"')
LIST_OF_WORDS = re.compile(rb'\[(?:"\w+",?)+\]')
LONGEST_LIST = 4000


def ids(bundle: bytes) -> dict[str, str]:
    """Return the model that the client requests by itself for each tier."""
    found = TIERS.search(bundle)
    if found is None:
        raise ValueError("the models of its tiers cannot be found")
    return dict(DEFAULT.findall(found[1].decode()))


def capabilities(bundle: bytes) -> list[str]:
    """Return the names of the capabilities that CLAUDE_CODE_MODEL_CAPABILITIES can have."""
    found = set()
    for match in re.finditer(b'"adaptive_thinking"', bundle):
        start = bundle.rfind(b"[", match.start() - LONGEST_LIST, match.start())
        end = bundle.find(b"]", match.end(), match.end() + LONGEST_LIST)
        if LIST_OF_WORDS.fullmatch(words := bundle[start : end + 1]):
            found.update(re.findall(r"\w+", words.decode()))
    if not found:
        raise ValueError("the capabilities of its models cannot be found")
    return sorted(found)


def before(bundle: bytes, found: re.Match[bytes]) -> bytes:
    """Return the character before a match; a ``_`` counts as a letter."""
    return bundle[max(found.start() - 1, 0) : found.start()].replace(b"_", b"a")


def schema(package: Path) -> dict[str, Any]:
    """Return the schema of a package: closed, with types where the client's source has them."""
    bundle, version = unpacked(package)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Settings of Claude Code {version}",
        "$comment": "Written by `mirrorfleet lock claude`, from the client's package. "
        "managedOnly: the client reads the setting in managed settings and nowhere else.",
        "ids": ids(bundle),
        "capabilities": capabilities(bundle),
        "type": "object",
        "additionalProperties": False,
        "properties": settings(bundle)
        | {
            "env": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "known": environment(bundle),
            }
        },
    }


def unpacked(package: Path) -> tuple[bytes, str]:
    """Return the client of a package and its version. Raises ``ValueError`` for links."""
    with tarfile.open(package) as archive:
        client, about = (archive.extractfile(f"package/{name}") for name in FILES)
        if client is None or about is None:
            raise ValueError(f"{package}: {' and '.join(FILES)} must be files, not links")
        return client.read(), json.load(about)["version"]


FILES = ("claude", "package.json")


def written(schema: dict[str, Any]) -> str:
    """Return the schema as text with one setting per line, for readable diffs of releases."""
    known = schema["properties"]["env"]["known"]
    lines = [
        f"    {json.dumps(name)}: {json.dumps(setting)}"
        for name, setting in sorted(schema["properties"].items())
        if name != "env"
    ]
    names = ",\n".join(f"        {json.dumps(name)}" for name in known)
    lines.append(
        '    "env": {\n      "type": "object",\n'
        '      "additionalProperties": {"type": "string"},\n'
        f'      "known": [\n{names}\n      ]\n    }}'
    )
    head = "".join(
        f"  {json.dumps(key)}: {json.dumps(value)},\n"
        for key, value in schema.items()
        if key != "properties"
    )
    return f'{{\n{head}  "properties": {{\n' + ",\n".join(lines) + "\n  }\n}\n"
