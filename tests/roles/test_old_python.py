"""Programs that a host's own `python3` runs must not need a newer one than the oldest accepted."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from mirrorfleet.runtime.python import OLDEST_FOR_PROGRAMS

ROOT = Path(__file__).parents[2]

PROGRAMS = (
    *sorted((ROOT / "roles/proof/files").glob("*.py")),
    *sorted((ROOT / "roles/ollama/files").glob("*.py")),
    *sorted((ROOT / "roles/ports/files").glob("*.py")),
    *(ROOT / "roles/vllm/files" / f"{name}.py" for name in ("check_weights", "diagnose")),
    ROOT / "roles/vllm/files/smoke_test.py",
    *(
        ROOT / "roles/litellm/files" / f"{name}.py"
        for name in ("check_image", "keyring", "probe", "running_engines")
    ),
    ROOT / "roles/claude/files/status_line.py",
    ROOT / "mirrorfleet/jobs/usage/read_ledger.py",
)

NEWER = {
    "datetime": {"UTC"},
    "hashlib": {"file_digest"},
    "itertools": {"pairwise", "batched"},
    "typing": {"Self", "TypeAlias", "ParamSpec", "assert_never", "NotRequired", "LiteralString"},
    "enum": {"StrEnum"},
    "asyncio": {"TaskGroup", "timeout", "Runner"},
    "contextlib": {"chdir"},
    "tomllib": {"*"},
}
"""What the standard library has since Python 3.10 or newer, by module."""


def newer(tree: ast.AST) -> list[str]:
    """Return what Python 3.9 parses but cannot run."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in NEWER:
            names = {alias.name for alias in node.names} & NEWER[node.module]
            found += [f"from {node.module} import {name}" for name in names]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if "*" in NEWER.get(alias.name, ())]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in NEWER.get(node.value.id, ()):
                found.append(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called == "zip" and "strict" in {keyword.arg for keyword in node.keywords}:
                found.append(ast.unparse(node))
            if called == "isinstance" and isinstance(node.args[1], ast.BinOp):
                found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_program_of_the_hosts_python_runs_with_the_oldest(program: Path) -> None:
    tree = ast.parse(program.read_text("utf-8"), feature_version=OLDEST_FOR_PROGRAMS)
    assert newer(tree) == []
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        for alias in node.names
    }
    assert "annotations" in imported, "annotations as `str | None` need Python 3.10 without it"


def test_what_is_newer_is_found() -> None:
    text = "from datetime import UTC\nimport hashlib\nhashlib.file_digest(a, 'x')\n"
    text += "zip(a, b, strict=True)\nisinstance(a, int | str)\n"
    assert newer(ast.parse(text)) == [
        "from datetime import UTC",
        "zip(a, b, strict=True)",
        "isinstance(a, int | str)",
        "hashlib.file_digest",
    ]
