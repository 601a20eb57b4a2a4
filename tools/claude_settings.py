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

from mirrorfleet.runtime.cache import npm_package
from tools.claude_types import Modules, Names, Reader
from tools.javascript import split, within

ROOT = Path(__file__).parent.parent

# The client's bundle holds its source: one object lists every setting by a validator.
START = b"return{$schema:()=>"
SETTING = re.compile(r"[,{](\$?[A-Za-z]\w*):\(\)=>")

# Settings of parts that a build may leave out stand beside it; those of this build say !0.
PART = re.compile(r"buildGate:\(\)=>!0,shape:\(\)=>\(\{")
INNER = re.compile(r"(?:^|,)([A-Za-z]\w*):(?=[\w$]+\()")

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
    at = bundle.index(START)
    modules = Modules.found(bundle)
    module = modules.at(at)
    source = modules.source(module)
    start = source.index(START.decode()) + len("return{")
    said = {**dict(_listed("{" + within(source, start))), **dict(_parts(source))}
    reader = Reader(modules, module, Names.learned(said))
    schemas = {}
    for name, how in said.items():
        schema = reader.schema(how)
        if MANAGED.search("".join(re.findall(r"describe\(.(.*)", how, re.DOTALL))):
            schema = {**schema, "managedOnly": True}
        schemas[name] = schema
    return schemas


def _listed(source: str) -> Iterator[tuple[str, str]]:
    """Yield each setting of the list with its validator."""
    found = list(SETTING.finditer(source))
    ends = [each.start() for each in found[1:]] + [len(source)]
    for each, end in zip(found, ends, strict=True):
        yield each[1], source[each.end() : end]


def _parts(source: str) -> Iterator[tuple[str, str]]:
    """Yield the settings of the parts that this build has."""
    for each in PART.finditer(source):
        for said in split(within(source, each.end())):
            if found := INNER.match(said):
                yield found[1], said[found.end() :]


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
        if client is None or about is None:
            raise ValueError(f"{package}: {' and '.join(FILES)} must be files, not links")
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
