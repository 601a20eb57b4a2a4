"""The master key or the root key, used where another server would learn it."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet, ProviderModel, Secret
from mirrorfleet.config.problems import Key, Problem


def problems(fleet: Fleet) -> Iterator[Problem]:
    master = fleet.gateway.master_key if fleet.gateway else None
    owners = {
        identity(secret): name
        for secret, name in (
            (fleet.keys.root, "the root of the keys"),
            (master, "the master key of the gateways"),
        )
        if secret
    }
    for key, secret, reader in _shared(fleet):
        if secret and identity(secret) in owners:
            yield fleet.document.problem(
                key,
                f"is {secret}, which is {owners[identity(secret)]} too: {reader} would learn it.",
                "Use a different secret.",
                given=(("gateway", "master_key"), ("keys", "root")),
            )


def identity(secret: Secret) -> str:
    """Return an identifier that equal secrets share: a variable is the same in all files."""
    return str(secret) if secret.source == "env" else f"{secret.directory} {secret}"


def _shared(fleet: Fleet) -> Iterator[tuple[Key, Secret | None, str]]:
    """Yield the secrets that are sent to other servers: key, secret, and name of the server."""
    for model in fleet.models.values():
        if isinstance(model, ProviderModel):
            for deployment in model.deployments:
                for name, secret in deployment.secrets.items():
                    yield (*deployment.key, name), secret, "the provider"
        else:
            yield ("models", model.name, "api_key"), model.api_key, "the engine"
    yield ("hub", "token"), fleet.hub.token, "the hub"
    for guardrail in fleet.gateway.guardrails if fleet.gateway else ():
        for name, value in guardrail.parameters.items():
            if isinstance(value, Secret):
                key = ("gateway", "guardrails", guardrail.name, "parameters", name)
                yield key, value, "the guardrail"
    if fleet.gateway and (redis := fleet.gateway.redis):
        yield ("gateway", "redis", "password"), redis.password, "Redis"
    if fleet.gateway and (database := fleet.gateway.database):
        yield ("gateway", "database", "url"), database.url, "Postgres"
        yield ("gateway", "database", "password"), database.password, "Postgres"
