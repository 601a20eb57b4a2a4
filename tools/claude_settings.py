"""The settings of a release of Claude Code, as schemas/claude-settings-VERSION.json."""

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
LIST = re.compile(rb"([\w$]+)=\{\};[\w$]+\(\1,\{((?:\w+:\(\)=>[\w$]+,?)+)\}\)")
NAME = re.compile(rb"(\w+):\(\)=>")
READ = re.compile(rb"process\.env\.([A-Z]\w+)|\w\.((?:ANTHROPIC|CLAUDE)_\w+)")
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
    names = {name for found in READ.findall(bundle) for name in found if name}
    lists = [NAME.findall(listed) for _, listed in LIST.findall(bundle)]
    lists += [OWN.findall(words) for words in WORDS.findall(bundle)]
    for words in lists:
        if any(name.startswith((b"ANTHROPIC_", b"CLAUDE_")) for name in words):
            names.update(words)
    return sorted(
        name.decode() for name in names if re.fullmatch(rb"_?[A-Z][A-Z0-9_]*[A-Z0-9]", name)
    )


def schema(package: Path) -> dict[str, Any]:
    """Return the schema of a package: closed, with types where the client's source has them."""
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
    """Return the client of a package and its version. Raises ``ValueError`` for links."""
    with tarfile.open(package) as archive:
        client, about = (archive.extractfile(f"package/{name}") for name in FILES)
        if client is None or about is None:
            raise ValueError(f"{package}: {' and '.join(FILES)} must be files, not links")
        return client.read(), json.load(about)["version"]


FILES = ("claude", "package.json")


def changes(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Yield one line per setting or variable that was added, removed, or changed its type."""
    before, after = old["properties"], new["properties"]
    for name in sorted(before.keys() | after.keys() - {"env"}):
        if name not in after:
            yield f"- {name}"
        elif name not in before:
            yield f"+ {name} {_type(after[name])}"
        elif name != "env" and before[name] != after[name]:
            yield f"~ {name} {_type(before[name])} -> {_type(after[name])}"
    known, now = (set(settings["env"]["known"]) for settings in (before, after))
    yield from (f"- env.{name}" for name in sorted(known - now))
    yield from (f"+ env.{name}" for name in sorted(now - known))


def _type(schema: dict[str, Any]) -> str:
    return json.dumps(schema)


def package_of(release: str) -> Path:
    """Return the package of a release; download a pinned one with npm.

    Raises ``DeployError`` for a release that is not pinned or cannot be downloaded.
    """
    if release.endswith(".tgz"):
        return Path(release)
    path = ROOT / f"roles/claude/locks/{release}.json"
    if not path.is_file():
        raise DeployError(f"there is no lock file: run `bin/lock claude {release}`.")
    lock = json.loads(path.read_text(encoding="utf-8"))
    package = lock["packages"]["x86_64"]
    return npm_package(package["name"], lock["version"], package["integrity"])


def main(arguments: list[str]) -> int:
    """Write the schema of a release, or print the changes between two."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.claude_settings",
        description="Write schemas/claude-settings-VERSION.json: the settings of a release of "
        "Claude Code. With two releases, only print the changes.",
    )
    about = "a version that `bin/lock claude` has pinned, or a package's .tgz on this machine"
    parser.add_argument("release", metavar="RELEASE", help=about)
    parser.add_argument("later", metavar="LATER", nargs="?", help="another release")
    chosen = parser.parse_args(arguments)
    found = []
    for release in filter(None, (chosen.release, chosen.later)):
        try:
            found.append(schema(package_of(release)))
        except DeployError as error:
            print(f"{release}: {error}", file=sys.stderr)
            return 1
        except (OSError, tarfile.TarError, LookupError, ValueError) as error:
            print(f"{release}: cannot be read as a package of the client: {error}", file=sys.stderr)
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
