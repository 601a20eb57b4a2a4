"""Convert errors of the schema validator to problems with a fix."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from jsonschema.exceptions import ValidationError

from mirrorfleet.config import foreign_words, running_errors
from mirrorfleet.config.document import Document
from mirrorfleet.config.problems import Key, Problem, closest, did_you_mean
from mirrorfleet.config.schema import resolve, root
from mirrorfleet.config.schema_fit import TYPES
from mirrorfleet.config.schema_validator import CONTROL
from mirrorfleet.config.value_words import article, kind, show
from mirrorfleet.config.yaml_values import as_yaml, flow


def explain(
    document: Document, error: ValidationError, around: dict[str, Any] | None = None
) -> Iterator[Problem]:
    """Yield the problems of one error. ``around`` is the schema that has it as an alternative."""
    key: Key = tuple(error.absolute_path)
    schema: dict[str, Any] = error.schema  # type: ignore[assignment]
    referring = _referring(error)
    limit: Any = error.validator_value
    match error.validator:
        case "additionalProperties":
            known = [*_present(schema.get("properties", {}))]
            names = unknown(error)
            yield from running_errors.all_refused(document, key, names, schema)
            for name in names:
                if running_errors.refused(document, (*key, name), schema):
                    continue
                if meant := foreign_words.key(name, known):
                    yield document.problem((*key, name), "unknown key.", f"Write '{meant}'.")
                    continue
                yield document.problem((*key, name), "unknown key.", did_you_mean(name, known))
        case "required":
            name = missing(error)
            if problem := running_errors.unfinished(document, key, schema):
                if name == schema["required"][0]:
                    yield problem
                return
            remedy = f"Add it. {_advice(_property(schema, name), (name,))}".rstrip()
            yield document.problem(key, f"missing key '{name}'.", remedy)
        case "oneOf":
            yield from _alternatives(document, error)
        case _ if "propertyNames" in error.absolute_schema_path:
            yield document.problem(
                (*key, str(error.instance)), "is not a valid name.", _advice(schema, ())
            )
        case _ if variable := _variable(error.instance):
            takes = bool(schema.get("writeOnly")) or _takes_reference(around or {})
            yield _reference(document, key, str(error.instance), variable, takes)
        case _ if reference := _secret_reference(error, (referring, schema, around or {})):
            mistake = "is a literal value, not a reference to a secret."
            text = referring.get("description") or (around or {}).get("description", "")
            remedy = f"Write a reference: {_name(key)}{flow(reference)}. {text}".rstrip()
            yield document.problem(key, mistake, remedy)
        case "type" if limit == "integer" and (tokens := foreign_words.number(error.instance)):
            yield document.problem(key, _mistake(error, schema), f"Write {_name(key)}{tokens}.")
        case "type" if limit == "string" and isinstance(error.instance, bool):
            word = "no" if error.instance is False else "yes"
            remedy = f"Quote the word, such as '{word}'."
            yield document.problem(key, f"YAML reads this as {flow(error.instance)}.", remedy)
        case "enum" if key[-1:] == ("engine",) and isinstance(error.instance, str):
            remedy = (
                "If it is a provider, write provider: litellm and prefix: "
                f"{error.instance}. If it is a server of your own, write engine: external and its "
                "'url'."
            )
            yield document.problem(key, _mistake(error, schema), remedy)
        case "pattern" | "enum" if meant := foreign_words.value(key, error.instance):
            yield document.problem(key, _mistake(error, schema), f"Write {_name(key)}{meant}.")
        case "type" if (value := _unquoted(error)) is not None:
            remedy = f"Remove the quotes: {_name(key)}{flow(value)}"
            yield document.problem(key, _mistake(error, schema), remedy)
        case _:
            remedy = _both(referring, schema, key) or _advice(around or {}, key)
            yield document.problem(key, _mistake(error, schema), remedy)


def _secret_reference(error: ValidationError, schemas: Iterable[dict[str, Any]]) -> Any:
    """Return the example of a reference if a secret has a literal value instead, else ``None``."""
    parts = list(schemas)
    is_secret = any(part.get("writeOnly") for part in parts)
    if not is_secret or not isinstance(error.instance, str | int | float):
        return None
    examples = [example for part in parts for example in part.get("examples", [])]
    return next((example for example in examples if isinstance(example, dict)), None)


LONGEST_NUMBER = 30
"""Characters of a quoted number or boolean."""


def _unquoted(error: ValidationError) -> Any:
    """Return the value of a string without its quotes if it then has the right type."""
    if not isinstance(error.instance, str):
        return None
    value = as_yaml(error.instance) if len(error.instance) <= LONGEST_NUMBER else None
    types = [error.validator_value] if isinstance(error.validator_value, str) else []
    fits = any(TYPES[kind](value) for kind in types)
    return value if fits and isinstance(value, int | float) else None


def misspelled(errors: Iterable[ValidationError]) -> set[Key]:
    """Return the keys for which a file has an unknown key with a similar name."""
    found: set[Key] = set()
    for error in errors:
        if error.validator == "additionalProperties":
            known = [*_present(error.schema.get("properties", {}))]  # type: ignore[union-attr]
            names = (
                foreign_words.key(name, known) or closest(name, known) for name in unknown(error)
            )
            found |= {(*error.absolute_path, name) for name in names if name}
    return found


def _present(properties: dict[str, Any]) -> Iterator[str]:
    """Yield the keys of a mapping without deprecated ones."""
    for name, schema in properties.items():
        if not (isinstance(schema, dict) and schema.get("deprecated")):
            yield name


VARIABLE = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)|\$\{([A-Z_][A-Z0-9_]*)\}")
"""Notation for a variable in a config.yaml of LiteLLM, or in a shell."""


def _variable(value: Any) -> str:
    """Return the name of the variable in a value with such a notation, else ""."""
    found = VARIABLE.fullmatch(value) if isinstance(value, str) else None
    return (found[1] or found[2]) if found else ""


def _reference(
    document: Document, key: Key, value: str, name: str, takes_reference: bool
) -> Problem:
    """Return the problem of a variable in such a notation."""
    if takes_reference:
        mistake, remedy = f"must be a mapping, not '{value}'.", f"Write {{env: {name}}}."
    else:
        mistake = f"is the variable '{value}', but this key cannot be a variable."
        remedy = "Write the value itself."
    return document.problem(key, mistake, remedy)


def _takes_reference(schema: dict[str, Any]) -> bool:
    """Return whether a reference to a secret is one of the alternatives."""
    return any("writeOnly" in resolve(branch) for branch in schema.get("oneOf", ()))


def _referring(error: ValidationError) -> dict[str, Any]:
    """Return the broken part of the schema before its ``$ref`` is resolved.

    The path of an error has neither references nor the ``if`` beside a ``then``.
    """
    at: Any = root()
    for part in list(error.absolute_schema_path)[:-1]:
        at = at if isinstance(at, list) or part in at else resolve(at)
        at = at if part == "if" else at[part]
    found: dict[str, Any] = at
    return found


def missing(error: ValidationError) -> str:
    """Return the missing key of an error."""
    return str(error.message).split("'")[1]


def unknown(error: ValidationError) -> list[str]:
    """Return the keys of a mapping that are not in the schema."""
    schema: dict[str, Any] = error.schema  # type: ignore[assignment]
    return sorted(set(error.instance) - set(schema.get("properties", {})))  # type: ignore[arg-type]


def _alternatives(document: Document, error: ValidationError) -> Iterator[Problem]:
    """Yield the problems of a value that fits no alternative, by the most similar one."""
    key: Key = tuple(error.absolute_path)
    schema: dict[str, Any] = error.schema  # type: ignore[assignment]
    branches = [resolve(branch) for branch in schema["oneOf"]]
    if all("required" in branch and "type" not in branch for branch in branches):
        ways = ", or ".join(" and ".join(f"'{name}'" for name in b["required"]) for b in branches)
        names = [name for branch in branches for name in branch["required"]]
        fix = document.drop_inherited(key, names) + _advice(schema, ())
        yield document.problem(key, f"needs exactly one of {ways}.", fix)
        return
    if isinstance(error.instance, str) and any(each.get("type") == "array" for each in branches):
        mistake = f"must be a list, not {show(error.instance)}."
        yield document.problem(key, mistake, f"Write {_name(key)}{flow([error.instance])}.")
        return
    alike = _alike(branches, error.instance)
    inner = [each for each in error.context or () if each.schema_path[0] in alike]
    if len(alike) == 1 and inner:
        for each in inner:
            each.parent = error
        renamed = misspelled(inner)
        for each in inner:
            if each.validator == "required" and (*each.absolute_path, missing(each)) in renamed:
                continue
            yield from explain(document, each, schema)
    else:
        # A value in place of a reference to a secret may be the secret.
        hidden = any(part.get("writeOnly") for part in (schema, *branches))
        value = kind(error.instance) if hidden else show(error.instance)
        mistake = f"is {value}, which is not a valid value."
        yield document.problem(key, mistake, _advice(schema, key))


def _alike(branches: list[dict[str, Any]], value: Any) -> list[int]:
    """Return the indexes of alternatives with the value's type and, of several, its keys."""
    types = [branch.get("type", "null") for branch in branches]
    alike = [at for at, each in enumerate(types) if TYPES[each](value)]
    if len(alike) == 1:
        return alike
    return [at for at in alike if set(branches[at].get("required", ())) & set(value)]


def _mistake(error: ValidationError, schema: dict[str, Any]) -> str:
    """Describe the mistake in one value. Mappings and lists are not printed."""
    # A value in place of a reference to a secret may be the secret.
    hidden = schema.get("writeOnly") and error.instance is not None
    value = "a literal value" if hidden else show(error.instance)
    limit: Any = error.validator_value
    match error.validator:
        case "type":
            return f"must be {article(limit)}, not {value}."
        case "enum":
            return f"is {value}; it must be one of {', '.join(map(str, limit))}."
        case "const":
            return f"must be {limit}, not {value}."
        case "minimum":
            return f"is {value}; the minimum is {limit}."
        case "exclusiveMinimum":
            return f"is {value}; it must be above {limit}."
        case "maximum":
            return f"is {value}; the maximum is {limit}."
        case "maxLength":
            length = len(str(error.instance))
            return f"is {length} characters long; the maximum is {limit}."
        case "minLength" | "minItems" | "minProperties":
            return "is empty."
        case "maxProperties":
            return "has more than one key; only one is allowed."
        case "uniqueItems":
            return "has a duplicate entry."
        case _ if error.validator == CONTROL:
            return f"is {value}, with a line break or another control character."
        case "pattern" if error.instance in foreign_words.MOVING:
            return f"is {value}, which is another release every month; a fleet names one."
        case "pattern":
            return "is not a valid value." if hidden else f"is {value}, which is not a valid value."
        case _:
            return f"does not match the schema ({error.validator})."


def _property(schema: dict[str, Any], name: str) -> dict[str, Any]:
    return resolve(schema.get("properties", {}).get(name, {}))


def _advice(schema: dict[str, Any], key: Key) -> str:
    """Return a schema's description, with its example as a line to paste."""
    advice: str = schema.get("description", "")
    for example in schema.get("examples", [])[:1]:
        advice += f" For example: {_name(key)}{flow(example)}"
    return advice.strip()


def _name(key: Key) -> str:
    """Return the start of the line that has a key: ``port: ``, or "" for an item of a list."""
    return f"{key[-1]}: " if key and isinstance(key[-1], str) else ""


def _both(referring: dict[str, Any], referred: dict[str, Any], key: Key) -> str:
    """Return the description of a key and, if another part of the schema has it, of its form."""
    texts = [referring.get("description", "")]
    if (form := referred.get("description", "")) not in texts[0]:
        texts.append(form)
    return _advice({**referred, **referring, "description": " ".join(filter(None, texts))}, key)
