"""A stand-in for Ollama's release: the archive is laid out like the real one, the program is ours.

The real binary cannot be had where the tests run. What stands in for it speaks the same API and
answers from memory: see program.py.
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
PARTS = ("prompt.py", "tokenizer.py", "merges.txt")
"""What the program imports: a release has it in the same packages as we do."""

REGISTRY: Mapping[str, Mapping[str, Any]] = {
    "qwen3:4b": {"trained": 262144, "capabilities": ["completion", "tools"]},
    "qwen3:0.6b": {"trained": 40960, "capabilities": ["completion", "tools"]},
    "qwen3-coder:30b": {"trained": 262144, "capabilities": ["completion", "tools"]},
    "gemma3:4b": {"trained": 131072, "capabilities": ["completion"]},
}
"""The tags that can be pulled: the window that each was trained for, and what it can do."""

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
    """Lay out a release below ``directory`` and return its program.

    ``limit`` is a fault that a release may have: it gives no model a larger window. ``vram`` is
    the share of a model that it puts on GPUs, if it is given any. One without ``debug`` answers
    where it was to show a prompt only; one that ``hangs`` never shows one.
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
    """Write the release as a tar.zst and return its sha256. Needs tar and zstd."""
    with tempfile.TemporaryDirectory() as scratch:
        tree(Path(scratch), version, limit=limit)
        same = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"]
        command = ["tar", "--zstd", *same, "-cf", str(path), "-C", scratch, "bin", "lib"]
        subprocess.run(command, check=True)
    return sha256(path.read_bytes()).hexdigest()
