"""The proof of an engine: the session that a new generation must answer before it serves.

The programs of roles/vllm, roles/ollama and roles/litellm run it on hosts.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from pathlib import Path

FILES = Path(__file__).parent / "files"
PACKAGE = "mirrorfleet.roles.proof.files"
MODULES = ("api", "listeners", "turns", "outcome", "tool_call", "prompt_cache", "session")
"""The modules of the proof, each after those that it imports."""

CANARY = ("api", "listeners", "turns", "figures", "two_turns")
"""The modules of the canary."""

LOADER = """\
import base64, json, sys, types, zlib
def _load(name, text):
    parts = name.split(".")
    for at in range(1, len(parts)):
        sys.modules.setdefault(".".join(parts[:at]), types.ModuleType(parts[at - 1]))
    module = sys.modules[name] = types.ModuleType(name)
    setattr(sys.modules[".".join(parts[:-1])], parts[-1], module)
    exec(compile(text, name, "exec"), module.__dict__)
_packed = "PACKED"
*_modules, (_name, _main) = json.loads(zlib.decompress(base64.b64decode(_packed)))
for _module in _modules:
    _load(*_module)
exec(compile(_main, _name, "exec"))
"""


def program(path: Path, *own: Path, package: str = "", modules: Sequence[str] = MODULES) -> str:
    """Return a program that uses the proof as one text, for a host without Mirrorfleet.

    It imports ``modules`` of the proof, and ``own`` ones of ``package``: each stands after those
    that it imports itself.
    The modules keep their names, so that their imports are the same on a host and in tests. They
    are compressed: one argument of a command has at most 128 KiB.
    """
    parts = [(f"{PACKAGE}.{name}", _read(FILES / f"{name}.py")) for name in modules]
    parts += [(f"{package}.{module.stem}", _read(module)) for module in own]
    texts = json.dumps([*parts, (path.name, _read(path))])
    return LOADER.replace("PACKED", base64.b64encode(zlib.compress(texts.encode(), 9)).decode())


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
