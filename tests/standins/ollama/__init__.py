"""A stand-in for Ollama's release: an archive with the real layout, and a program with its API.

The real binary is not available to the tests. For the stand-in, see program.py.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

PROGRAM = HERE / "program.py"
PARTS = ("decoding.py", "prompt.py", "store.py", "tokenizer.py", "merges.txt")
"""Files that the program imports: a release has them in the same package as this repository."""

REGISTRY: Mapping[str, Mapping[str, Any]] = {
    "qwen3:4b": {"trained": 262144, "capabilities": ["completion", "tools"]},
    "qwen3:0.6b": {"trained": 40960, "capabilities": ["completion", "tools"]},
    "qwen3-coder:30b": {"trained": 262144, "capabilities": ["completion", "tools"]},
    "gemma3:4b": {"trained": 131072, "capabilities": ["completion"]},
    "qwen3-vl:8b": {
        "trained": 262144,
        "capabilities": ["completion", "vision", "tools", "thinking"],
    },
}
"""The tags of the registry, with their trained window and their capabilities."""

UNLIMITED = 10**9


def tree(
    directory: Path,
    version: str,
    registry: Mapping[str, Mapping[str, Any]] = REGISTRY,
    limit: int = UNLIMITED,
    vram: float = 1,
    debug: bool = True,
    hangs: bool = False,
) -> Path:
    """Write a release below ``directory``, and return its program.

    ``limit`` is the maximum window of any model, a possible fault of a release. ``vram`` is the
    share of a model on the GPUs, if there are any. Without ``debug``, it runs the model instead of
    rendering a prompt; with ``hangs``, it never renders one.
    """
    program, libraries = directory / "bin/ollama", directory / "lib/ollama"
    program.parent.mkdir(parents=True)
    libraries.mkdir(parents=True)
    program.write_text(PROGRAM.read_text("utf-8").replace('"0.0.0"', f'"{version}"'), "utf-8")
    program.chmod(0o755)
    (libraries / "libggml-base.so").write_bytes(b"a stand-in")
    parts = libraries / "tests/standins/ollama"
    parts.mkdir(parents=True)
    for part in PARTS:
        (parts / part).write_bytes((HERE / part).read_bytes())
    content = json.dumps(
        {"tags": registry, "limit": limit, "vram": vram, "debug": debug, "hangs": hangs}
    )
    (libraries / "registry.json").write_text(content, "utf-8")
    return program


def archive(path: Path, version: str, limit: int = UNLIMITED) -> str:
    """Write the release as a tar.zst, and return its SHA-256. Needs tar and zstd."""
    with tempfile.TemporaryDirectory() as scratch:
        tree(Path(scratch), version, limit=limit)
        return _packed(path, Path(scratch), "bin", "lib")


def part(path: Path, **files: str) -> str:
    """Write a further archive with these files below lib/ollama, and return its SHA-256."""
    with tempfile.TemporaryDirectory() as scratch:
        libraries = Path(scratch) / "lib/ollama"
        libraries.mkdir(parents=True)
        for name, text in files.items():
            (libraries / name).write_text(text, "utf-8")
        return _packed(path, Path(scratch), "lib")


def _packed(path: Path, directory: Path, *names: str) -> str:
    same = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"]
    command = ["tar", "--zstd", *same, "-cf", str(path), "-C", str(directory), *names]
    subprocess.run(command, check=True, timeout=120)
    return sha256(path.read_bytes()).hexdigest()
