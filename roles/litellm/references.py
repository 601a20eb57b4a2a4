"""The environment variables of a gateway's secrets: config.yaml holds only references to them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from mirrorfleet.config import Secret
from mirrorfleet.planning import DatabasePlan, LitellmPlan, Route

Place = tuple[str, int | None, str]
"""A secret of a model: the model, the number of the deployment, and LiteLLM's parameter."""


def variables(routes: Iterable[Route]) -> dict[Place, str]:
    """Return the variable of each secret of a model.

    It is MODEL_CODER_API_KEY for ("coder", None, "api_key"). Places that give the same name, of
    `gpt-5.4` and `gpt-5-4`, have different variables.
    """
    names: dict[Place, str] = {}
    for route in routes:
        for name in (*route.secrets, *(["bearer"] if route.bearer else [])):
            place = (route.model, route.number, name)
            if place not in names:
                number = [str(route.number)] if route.number else []
                spelt = _spell("MODEL", route.model, *number, name)
                names[place] = _free(spelt, names.values())
    return names


def references(gateway: LitellmPlan) -> dict[Secret, str]:
    """Return the variable of each secret outside the models.

    A secret that is used twice has one variable. Places that give the same name have two.
    """
    names: dict[Secret, str] = {}
    for place, secret in _places(gateway):
        if secret not in names:
            names[secret] = _free(_spell("MIRRORFLEET", *place), names.values())
    return names


def _free(name: str, taken: Collection[str]) -> str:
    """Return the name, with a suffix if another secret has it."""
    while name in taken:
        name += "_2"
    return name


def resolved(value: Any, names: dict[Secret, str]) -> Any:
    """Return settings with `os.environ/NAME` for each secret, as LiteLLM reads them."""
    match value:
        case Secret():
            return f"os.environ/{names[value]}"
        case dict():
            return {name: resolved(inner, names) for name, inner in value.items()}
        case list():
            return [resolved(inner, names) for inner in value]
    return value


def secrets(gateway: LitellmPlan) -> set[Secret]:
    """Return every secret that a gateway needs; developers' keys are not among them."""
    return {
        gateway.master_key,
        *references(gateway),
        *(value for value in gateway.environment.values() if isinstance(value, Secret)),
        *([gateway.passthrough.api_key] if gateway.passthrough else []),
        *(_database(gateway.database) if gateway.database else []),
        *(secret for route in gateway.routes for secret in route.secrets.values()),
    }


def _database(database: DatabasePlan) -> Iterator[Secret]:
    yield database.salt_key
    if secret := database.url or database.password:
        yield secret


def _places(gateway: LitellmPlan) -> Iterator[tuple[tuple[str, ...], Secret]]:
    if gateway.redis and gateway.redis.password:
        yield ("redis", "password"), gateway.redis.password
    if gateway.web_search and gateway.web_search.key:
        yield ("web_search", "key"), gateway.web_search.key
    for server in gateway.mcp_servers:
        place = ("mcp", server.name)
        yield from _inside({"key": server.key, "headers": server.headers}, place)
    for guardrail in gateway.guardrails:
        yield from _inside(guardrail.parameters, ("guardrail", guardrail.name))
    yield from _inside(gateway.extra, ())
    for route in gateway.routes:
        number = (str(route.number),) if route.number else ()
        yield from _inside(route.parameters, ("parameters", route.model, *number))
        yield from _inside(route.information, ("model_info", route.model))


def _inside(value: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Secret]]:
    match value:
        case Secret():
            yield place, value
        case dict():
            for name, inner in value.items():
                yield from _inside(inner, (*place, name))
        case list():
            for inner in value:
                yield from _inside(inner, place)


def _spell(*words: str) -> str:
    return "_".join(re.findall("[A-Z0-9]+", " ".join(words).upper()))
