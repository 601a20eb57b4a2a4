"""Which environment variable holds each secret of a gateway, so that config.yaml holds none."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from mirrorfleet.config import Secret
from mirrorfleet.planning import DatabasePlan, LitellmPlan, Route


def variables(routes: Iterable[Route]) -> dict[tuple[str, str], str]:
    """Return the variable of each secret of a model: MODEL_CODER_API_KEY, by ("coder", "api_key").

    Two whose places are spelt alike, of `gpt-5.4` and `gpt-5-4`, have two.
    """
    names: dict[tuple[str, str], str] = {}
    for route in routes:
        for name in (*route.secrets, *(["bearer"] if route.bearer else [])):
            place = (route.model, name)
            if place not in names:
                names[place] = _free(_spell("MODEL", *place), names.values())
    return names


def references(gateway: LitellmPlan) -> dict[Secret, str]:
    """Return the variable of each secret that stands elsewhere than in a model.

    One that is said twice has one variable; two whose places are spelt alike have two.
    """
    names: dict[Secret, str] = {}
    for place, secret in _places(gateway):
        if secret not in names:
            names[secret] = _free(_spell("MIRRORFLEET", *place), names.values())
    return names


def _free(name: str, taken: Collection[str]) -> str:
    """Return a name that is not taken yet."""
    while name in taken:
        name += "_2"
    return name


def resolved(value: Any, names: dict[Secret, str]) -> Any:
    """Return settings with `os.environ/NAME` for each secret, as LiteLLM reads them."""
    match value:
        case Secret():
            return f"os.environ/{names[value]}"
        case dict():
            return {name: resolved(each, names) for name, each in value.items()}
        case list():
            return [resolved(each, names) for each in value]
    return value


def secrets(gateway: LitellmPlan) -> set[Secret]:
    """Return every secret that a gateway needs; of developers' keys it needs none."""
    return {
        gateway.master_key,
        *references(gateway),
        *(each for each in gateway.environment.values() if isinstance(each, Secret)),
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
    for guardrail in gateway.guardrails:
        yield from _inside(guardrail.parameters, ("guardrail", guardrail.name))
    yield from _inside(gateway.extra, ())


def _inside(value: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Secret]]:
    match value:
        case Secret():
            yield place, value
        case dict():
            for name, each in value.items():
                yield from _inside(each, (*place, name))
        case list():
            for each in value:
                yield from _inside(each, place)


def _spell(*words: str) -> str:
    return "_".join(re.findall("[A-Z0-9]+", " ".join(words).upper()))
