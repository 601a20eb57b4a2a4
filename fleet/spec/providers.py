"""Models of providers, and the providers that a gateway can route to, in LiteLLM's terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet.section import Secret, Section


@dataclass(frozen=True)
class Provider:
    """How LiteLLM names a provider's models, and what it must be told of them.

    ``settings`` and ``secrets`` map the keys of the fleet file to LiteLLM's parameters.
    """

    prefix: str
    settings: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=lambda: {"api_key": "api_key"})


PROVIDERS: Mapping[str, Provider] = {
    "anthropic": Provider("anthropic", {"url": "api_base"}),
    "openai": Provider("openai"),
    # LiteLLM sends openai/ models to /v1/responses, which few other servers have; this prefix is
    # its name for any server that speaks /v1/chat/completions.
    "openai_compatible": Provider("hosted_vllm", {"url": "api_base"}),
    "azure": Provider("azure", {"url": "api_base", "api_version": "api_version"}),
    "bedrock": Provider(
        "bedrock",
        {"region": "aws_region_name"},
        {"access_key_id": "aws_access_key_id", "secret_access_key": "aws_secret_access_key"},
    ),
    "vertex_ai": Provider(
        "vertex_ai",
        {"project": "vertex_project", "region": "vertex_location"},
        {"credentials": "vertex_credentials"},
    ),
    "gemini": Provider("gemini"),
}


@dataclass(frozen=True)
class ProviderModel:
    """``settings`` and ``secrets`` are what the provider wants to know, by the file's own keys."""

    name: str
    provider: str
    id: str
    settings: Mapping[str, str]
    secrets: Mapping[str, Secret]
    context: int
    output: int
    base_model: str | None


def provider_model(said: Section) -> ProviderModel:
    provider = PROVIDERS[said["provider"]]
    secrets = {key: said.secret(key) for key in provider.secrets}
    return ProviderModel(
        name=said.name,
        provider=said["provider"],
        id=said["id"],
        settings={key: said[key] for key in provider.settings if key in said},
        secrets={key: secret for key, secret in secrets.items() if secret},
        context=said.get("context", 200_000),
        output=said.get("output", 32_000),
        base_model=said.get("base_model"),
    )
