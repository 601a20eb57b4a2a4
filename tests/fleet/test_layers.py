"""Layers: rules that import-linter and ruff cannot check."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PURE = ("config", "checks", "planning", "engines", "data", "monitoring")
ON_HOSTS = "files"

CONTROLLER = sorted(
    path.relative_to(ROOT)
    for folder in ("mirrorfleet", "roles", "deploys", "tools")
    for path in (ROOT / folder).rglob("*.py")
    if ON_HOSTS not in path.parts
)


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse((ROOT / path).read_text("utf-8")))


@pytest.mark.parametrize("folder", PURE)
def test_the_pure_packages_have_no_paths_of_roles(folder: str) -> None:
    """The lock files are passed in: see mirrorfleet/lock_folders.py."""
    paths = [path for path in CONTROLLER if path.parts[:2] == ("mirrorfleet", folder)]
    assert paths
    named = [
        f"{path}:{node.lineno}"
        for path in paths
        for node in nodes(path)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if "roles" in node.value.split("/")
    ]
    assert not named


def test_no_import_uses_the_builtin() -> None:
    """Ruff bans importlib.import_module (TID251), but cannot ban a builtin."""
    assert len(CONTROLLER) > 100
    found = [
        f"{path}:{node.lineno}"
        for path in CONTROLLER
        for node in nodes(path)
        if isinstance(node, ast.Name) and node.id in ("__import__", "exec", "eval")
    ]
    assert not found
