"""The settings that a release of Claude Code knows, as schemas/claude-settings-VERSION.json."""

from __future__ import annotations

import argparse
import json
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyinfra.api.exceptions import DeployError

from roles.host.cache import npm_package

ROOT = Path(__file__).parent.parent

# The client's bundle holds its source: one object lists every setting by a validator. Two letters
# there mean another type in each release, so each is told by a setting whose type cannot change.
START = b"return{$schema:()=>"
SETTING = re.compile(r"[,{](\$?[A-Za-z]\w*):\(\)=>")
ANCHORS = {
    "$schema": {"type": "string"},
    "verbose": {"type": "boolean"},
    "cleanupPeriodDays": {"type": "number"},
}
STRINGS = "deniedModels"
ENUM = "autoUpdatesChannel"

MANAGED = re.compile(
    r"^.{0,40}(Managed settings only|set in (device )?managed settings)"
    r"|only (enforced|honored) from managed|honored from managed settings only"
    r"|honored only from admin",
    re.IGNORECASE,
)

# Variables that the client exports to itself, that it reads in place, and those in lists of names,
# such as the one of variables that a project may set. A plain search for words in capitals finds
# other things too: halves of names, error codes, the switches of its JavaScript engine.
LIST = re.compile(rb"([\w$]+)=\{\};[\w$]+\(\1,\{((?:\w+:\(\)=>[\w$]+,?)+)\}\)")
NAME = re.compile(rb"(\w+):\(\)=>")
READ = re.compile(rb"process\.env\.([A-Z]\w+)|\w\.((?:ANTHROPIC|CLAUDE)_\w+)")
WORDS = re.compile(rb'\[((?:"\w+",?){4,})\]')
OWN = re.compile(rb"\b(?:ANTHROPIC|API|BASH|CLAUDE|DISABLE|ENABLE|MAX|MCP|OTEL|TASK)_\w+")


def settings(bundle: bytes) -> dict[str, dict[str, Any]]:
    """Return each setting's name and what is sure of its type."""
    source = _object(bundle, bundle.index(START) + len("return")).decode("latin-1")
    found = list(SETTING.finditer(source))
    ends = [each.start() for each in found[1:]] + [len(source)]
    said = {each[1]: source[each.end() : end] for each, end in zip(found, ends, strict=True)}
    calls: dict[str, dict[str, Any]] = {
        said[name].split("(")[0]: dict(kind) for name, kind in ANCHORS.items()
    }
    text = said["$schema"].split("(")[0]
    listed, enum = said[STRINGS].split("(")[0], said[ENUM].split("(")[0]
    schemas = {}
    for name, how in said.items():
        schema = dict(calls.get(how.split("(")[0], {}))
        if how.startswith(f"{listed}({text}())"):
            schema = {"type": "array", "items": {"type": "string"}}
        elif words := re.match(rf'{re.escape(enum)}\((\["[^\]]*"\])\)', how):
            schema = {"enum": json.loads(words[1])}
        if MANAGED.search("".join(re.findall(r"describe\(.(.*)", how, re.DOTALL))):
            schema["managedOnly"] = True
        schemas[name] = schema
    return schemas


def environment(bundle: bytes) -> list[str]:
    """Return the names of the environment variables that the client reads."""
    names = {name for found in READ.findall(bundle) for name in found if name}
    lists = [NAME.findall(listed) for _, listed in LIST.findall(bundle)]
    lists += [OWN.findall(words) for words in WORDS.findall(bundle)]
    for its in lists:
        if any(name.startswith((b"ANTHROPIC_", b"CLAUDE_")) for name in its):
            names.update(its)
    return sorted(
        name.decode() for name in names if re.fullmatch(rb"_?[A-Z][A-Z0-9_]*[A-Z0-9]", name)
    )


def schema(package: Path) -> dict[str, Any]:
    """Return the schema of a package: closed, typed where the client's own source says a type."""
    bundle, version = unpacked(package)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Settings of Claude Code {version}",
        "$comment": "Written by `python -m tools.claude_settings`, from the client's package. "
        "managedOnly: the client reads the setting in managed settings and nowhere else.",
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
    """Return the client of a package, and the version that it says."""
    with tarfile.open(package) as archive:
        client, about = (archive.extractfile(f"package/{name}") for name in FILES)
        assert client and about, "files, not links"
        return client.read(), json.load(about)["version"]


FILES = ("claude", "package.json")


def changes(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Yield one line per setting or variable that came, went, or has another type."""
    before, after = old["properties"], new["properties"]
    for name in sorted(before.keys() | after.keys() - {"env"}):
        if name not in after:
            yield f"- {name}"
        elif name not in before:
            yield f"+ {name} {_type(after[name])}"
        elif name != "env" and before[name] != after[name]:
            yield f"~ {name} {_type(before[name])} -> {_type(after[name])}"
    known, now = (set(each["env"]["known"]) for each in (before, after))
    yield from (f"- env.{name}" for name in sorted(known - now))
    yield from (f"+ env.{name}" for name in sorted(now - known))


def _type(schema: dict[str, Any]) -> str:
    return json.dumps(schema)


def _object(bundle: bytes, start: int) -> bytes:
    """Return the bracketed expression that starts here; brackets in strings do not count."""
    depth, quote, at = 0, b"", start
    while True:
        byte = bundle[at : at + 1]
        if byte == b"\\" and quote:
            at += 1
        elif quote:
            quote = b"" if byte == quote else quote
        elif byte in (b'"', b"'", b"`"):
            quote = byte
        elif byte in (b"{", b"(", b"["):
            depth += 1
        elif byte in (b"}", b")", b"]"):
            depth -= 1
            if depth == 0:
                return bundle[start : at + 1]
        at += 1


def package_of(release: str) -> Path:
    """Return the package of a release, fetched by npm when it is a pinned one.

    Raises ``DeployError`` when it is not, or cannot be fetched.
    """
    if release.endswith(".tgz"):
        return Path(release)
    path = ROOT / f"roles/claude/locks/{release}.json"
    if not path.is_file():
        raise DeployError(f"there is no lock file: `bin/lock claude {release}` writes it.")
    lock = json.loads(path.read_text(encoding="utf-8"))
    package = lock["packages"]["x86_64"]
    return npm_package(package["name"], lock["version"], package["integrity"])


def main(arguments: list[str]) -> int:
    """Write the schema of a release, or print what changed between two."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.claude_settings",
        description="Write schemas/claude-settings-VERSION.json: the settings that a release of "
        "Claude Code knows. With two releases, only print what changed.",
    )
    about = "a version that `bin/lock claude` has pinned, or a package's .tgz on this machine"
    parser.add_argument("release", metavar="RELEASE", help=about)
    parser.add_argument("later", metavar="LATER", nargs="?", help="another one")
    chosen = parser.parse_args(arguments)
    found = []
    for each in filter(None, (chosen.release, chosen.later)):
        try:
            found.append(schema(package_of(each)))
        except DeployError as error:
            print(f"{each}: {error}", file=sys.stderr)
            return 1
        except (OSError, tarfile.TarError, LookupError, ValueError) as error:
            print(f"{each}: is no client's package that can be read: {error}", file=sys.stderr)
            return 1
    if len(found) == 2:
        print("\n".join(changes(*found)) or "nothing changed")
        return 0
    version = found[0]["title"].rsplit(" ", 1)[1]
    target = ROOT / f"schemas/claude-settings-{version}.json"
    target.write_text(_written(found[0]), encoding="utf-8")
    print(f"{target.relative_to(ROOT)}: {len(found[0]['properties'])} settings")
    return 0


def _written(schema: dict[str, Any]) -> str:
    """Write one setting per line: a diff of two releases is then read as such."""
    known = schema["properties"]["env"]["known"]
    lines = [
        f"    {json.dumps(name)}: {json.dumps(each)}"
        for name, each in sorted(schema["properties"].items())
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
