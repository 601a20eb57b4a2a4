"""Schemas of tools as Ollama reads them, checked with the stand-in's decoder."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorfleet.roles.litellm.files import mirrorfleet_tool_schemas as tool_schemas
from tests.standins.ollama import decoding

Json = dict[str, Any]


def parameters(schema: Any) -> Json:
    """Return a rewritten schema of parameters."""
    return tool_schemas.parameters(schema, tool_schemas.Room(tool_schemas.COPIED))


def properties(schema: Json, **root: Any) -> Json:
    """Return the properties of a rewritten schema as Ollama keeps them."""
    whole = {"type": "object", "properties": schema, **root}
    tool = {"name": "tool", "input_schema": parameters(whole)}
    found: Json = decoding.parameters(tool)["properties"]
    return found


def test_what_ollama_reads_stays_as_it_is() -> None:
    schema = {
        "type": "object",
        "properties": {
            "path": {"type": ["string", "null"], "description": "A path.", "pattern": "^/"},
            "mode": {"anyOf": [{"type": "string"}, {"type": "integer"}], "default": 3},
            "parts": {"type": "array", "items": {"type": "string", "enum": ["a"]}},
        },
        "required": ["path"],
        "additionalProperties": False,
    }
    tools: list[Json] = [
        {"name": "a", "input_schema": schema},
        {"type": "web_search_20250305", "name": "b"},
    ]
    assert tool_schemas.mended(tools) == (tools, False)


def test_boolean_schemas_become_objects() -> None:
    found = properties({"any": True, "none": False, "list": {"type": "array", "items": True}})
    assert found == {"any": {}, "list": {"type": "array", "items": {}}}


def test_a_reference_is_put_in_place() -> None:
    place = {"type": "object", "properties": {"city": {"$ref": "#/$defs/name"}}}
    found = properties(
        {"where": {"$ref": "#/$defs/place", "description": "The place."}},
        **{"$defs": {"place": place, "name": {"type": "string"}}},
    )
    city = {"city": {"type": "string"}}
    expected = {"type": "object", "properties": city, "description": "The place."}
    assert found == {"where": expected}


def test_a_recursive_reference_ends() -> None:
    node = {
        "type": "object",
        "description": "A node.",
        "properties": {"next": {"$ref": "#/definitions/node"}},
    }
    found = properties({"head": {"$ref": "#/definitions/node"}}, definitions={"node": node})
    inner = {"type": "object", "description": "A node."}
    assert found == {"head": {**node, "properties": {"next": inner}}}


def test_references_that_multiply_end() -> None:
    """Each of 30 definitions refers to the next one twice: 2^30 schemas."""
    parts = {
        f"d{at}": {
            "type": "object",
            "properties": {name: {"$ref": f"#/$defs/d{at + 1}"} for name in ("a", "b")},
        }
        for at in range(30)
    }
    found = parameters({"properties": {"x": {"$ref": "#/$defs/d0"}}, "$defs": parts})
    assert str(found).count("properties") < 3 * tool_schemas.MOST


NAMES_20000 = [f"n{at}" for at in range(20_000)]
LARGE = {
    "description": {"description": "x" * 100_000},
    "required": {"type": "object", "required": NAMES_20000},
    "recursive": {
        "description": "x" * 100_000,
        "properties": {f"p{at}": {"$ref": "#/$defs/large"} for at in range(1000)},
    },
}


@pytest.mark.parametrize("large", LARGE.values(), ids=LARGE)
def test_references_do_not_multiply_a_large_schema(large: Json) -> None:
    """A request of some hundred KB would become one of more than a hundred MB."""
    many = {f"p{at}": {"$ref": "#/$defs/large"} for at in range(1000)}
    tool = {"input_schema": {"$defs": {"large": large}, "properties": many}}
    found, _ = tool_schemas.mended([tool] * 5)
    assert len(json.dumps(found)) < 3 * tool_schemas.COPIED


def test_many_combinations_of_many_properties_take_no_time() -> None:
    """Each part was merged with all the earlier ones: 40 million steps instead of 20 thousand."""
    schema = {"required": NAMES_20000, "allOf": [{"required": ["x"]}] * 1990}
    began = time.process_time()
    assert properties({"a": schema})["a"]["required"] == [*NAMES_20000, "x"]
    assert time.process_time() - began < 1  # 3.8 s before, 0.01 s now


def test_a_reference_with_a_very_large_number_names_nothing() -> None:
    assert properties({"a": {"$ref": f"#/x/{'1' * 5000}"}}, x=[{}]) == {"a": {}}


def test_combinations_become_what_ollama_knows() -> None:
    found = properties(
        {
            "one": {"oneOf": [{"type": "string"}, {"const": 1}]},
            "all": {
                "description": "Both.",
                "allOf": [
                    {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                    {"properties": {"b": {"type": "integer"}}, "required": ["b"]},
                ],
            },
        }
    )
    both = {"a": {"type": "string"}, "b": {"type": "integer"}}
    assert found == {
        "one": {"anyOf": [{"type": "string"}, {"enum": [1]}]},
        "all": {
            "type": "object",
            "description": "Both.",
            "properties": both,
            "required": ["a", "b"],
        },
    }


def test_alternatives_of_all_parameters_become_optional_parameters() -> None:
    parts = [{"properties": {"path": {"type": "string"}}, "required": ["path"]}, {"properties": {}}]
    found = parameters({"oneOf": parts})
    assert found == {"type": "object", "properties": {"path": {"type": "string"}}}


@pytest.mark.parametrize("schema", [True, None, [], {}, {"$ref": 3}, {"$ref": "#/no/such"}])
def test_a_schema_that_is_none_becomes_an_empty_one(schema: Any) -> None:
    decoding.parameters({"name": "tool", "input_schema": parameters(schema)})


NAMES = "type properties items anyOf oneOf allOf required enum const $ref description $defs x"
KEYS = st.sampled_from(NAMES.split())
LEAVES = st.sampled_from([None, True, False, 0, 1, "string", "#/$defs/x", "#"])
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=25,
)


@given(VALUES)
def test_ollama_decodes_every_rewritten_schema(schema: Any) -> None:
    tools = [{"name": "tool", "input_schema": schema}]
    before = copy.deepcopy(tools)
    found, _ = tool_schemas.mended(tools)
    assert tools == before
    decoding.parameters(found[0])
    assert "$ref" not in keywords(found[0]["input_schema"])


def keywords(schema: Any) -> set[str]:
    """Return the keywords of a schema and its subschemas, as Ollama finds them."""
    if not isinstance(schema, dict):
        return set()
    parts = [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), schema.get("items")]
    return set(schema).union(*map(keywords, parts))
