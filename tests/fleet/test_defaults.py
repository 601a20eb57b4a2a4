"""Defaults of the fleet file are defined in the schema only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet import fleet
from mirrorfleet.config import schema
from mirrorfleet.config.document import Document, read
from mirrorfleet.config.reader import Section
from mirrorfleet.config.schema import Schema, is_valid, resolve, root

HERE = Path(__file__).parent
PACKAGE = HERE.parent.parent / "mirrorfleet"
FILES = [
    path
    for layer in ("config", "checks", "planning", "engines")
    for path in sorted((PACKAGE / layer).glob("*.py"))
]


def defaults(schema: Any) -> Iterator[tuple[str, Any, Schema]]:
    """Yield each key of the schema that has a default, with the default and its schema."""
    if isinstance(schema, list):
        for item in schema:
            yield from defaults(item)
    elif isinstance(schema, dict):
        properties = schema.get("properties")
        for name, inner in properties.items() if isinstance(properties, dict) else ():
            if isinstance(inner, dict) and "default" in resolve(inner):
                yield name, resolve(inner)["default"], resolve(inner)
        for inner in schema.values():
            yield from defaults(inner)


DEFAULTS = list(defaults(root()))


def test_defaults_fit_their_own_schema() -> None:
    assert len(DEFAULTS) > 35
    for name, value, part in DEFAULTS:
        assert is_valid(value, part), name


def written(tree: ast.AST) -> Iterator[tuple[str, Any]]:
    """Yield names with a constant that can be a default: x: int = 1, f(x=1), d.get("x", 1)."""
    for node in ast.walk(tree):
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=value)):
                yield name, value
            case ast.keyword(arg=str(name), value=ast.Constant(value=value)):
                yield name, value
            case ast.Call(
                func=ast.Attribute(attr="get"),
                args=[ast.Constant(value=str(name)), ast.Constant(value=value)],
            ):
                yield name, value
            case ast.keyword(
                arg=str(name), value=ast.BoolOp(values=[*_, ast.Constant(value=value)])
            ):
                yield name, value


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_code_has_no_defaults(path: Path) -> None:
    known = [(name, value) for name, value, _ in DEFAULTS if value not in ([], {}, False)]
    tree = ast.parse(path.read_text("utf-8"))
    assert [default for default in written(tree) if default in known] == []


def section(data: dict[str, Any]) -> Section:
    document = read(HERE / "good" / "smallest.yml")
    return Section(Document(document.path, data, document.places))


def test_a_missing_key_has_the_default_of_its_section() -> None:
    root = section(
        {
            "gateway": {"redis": {"host": "x"}},
            "models": {
                "a": {"engine": "vllm"},
                "b": {"engine": "ollama"},
                "c": {"provider": "openai"},
            },
        }
    )
    assert root["packages"] == "registry"
    assert root.mapping("gateway")["port"] == 4000
    assert root.mapping("gateway").mapping("redis")["port"] == 6379
    assert root.mapping("gateway").mapping("database")["port"] == 5432
    ports = {model.name: model.get("port") for model in root.mapping("models").mappings()}
    assert ports == {"a": 8000, "b": 11434, "c": None}
    assert root.mapping("keys").mapping("people").mapping("ada")["rotation"] == 1


def test_a_default_is_not_shared_between_files() -> None:
    one = section({})["aliases"]
    one["opus"] = "coder"
    assert section({})["aliases"] == {}


def test_a_key_with_neither_value_nor_default_is_an_error() -> None:
    with pytest.raises(KeyError, match="master_key"):
        section({"gateway": {}}).mapping("gateway").required_secret("master_key")
    with pytest.raises(KeyError, match="context"):
        section({"models": {"a": {"engine": "vllm"}}}).mapping("models").mapping("a")["context"]


def test_a_changed_default_of_the_schema_reaches_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "_resolved", {})  # a program does not change the schema
    monkeypatch.setitem(root()["$defs"]["vllmModel"]["properties"]["port"], "default", 8123)
    plan = fleet.plan(fleet.load(HERE / "good" / "smallest.yml"))
    [port] = {engine.port for host in plan.hosts.values() for engine in host.engines}
    assert port == 8123
