"""Models of providers, and the providers that a gateway can route to, in LiteLLM's terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet.section import Secret, Section


@dataclass(frozen=True)
class Provider:
    """How LiteLLM names a provider's models, and what it must be told of them.

    ``settings`` and ``secrets`` map the keys of the fleet file to LiteLLM's parameters;
    ``defaults`` are settings that are rendered also where the file does not say them.
    """

    prefix: str
    settings: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=lambda: {"api_key": "api_key"})
    defaults: Mapping[str, str] = field(default_factory=dict)


PROVIDERS: Mapping[str, Provider] = {
    # Its address is always said: the passthrough sets a variable that would be its default.
    "anthropic": Provider(
        "anthropic", {"url": "api_base"}, defaults={"url": "https://api.anthropic.com"}
    ),
    "openai": Provider("openai", {"url": "api_base", "organization": "organization"}),
    # LiteLLM sends openai/ models to /v1/responses, which few other servers have; this prefix is
    # its name for any server that speaks /v1/chat/completions.
    "openai_compatible": Provider("hosted_vllm", {"url": "api_base"}),
    "azure": Provider(
        "azure",
        {
            "url": "api_base",
            "api_version": "api_version",
            "tenant_id": "tenant_id",
            "client_id": "client_id",
        },
        {"api_key": "api_key", "client_secret": "client_secret"},
    ),
    "bedrock": Provider(
        "bedrock",
        {
            "region": "aws_region_name",
            "url": "aws_bedrock_runtime_endpoint",
            "role": "aws_role_name",
            "role_session": "aws_session_name",
        },
        {
            "api_key": "api_key",
            "access_key_id": "aws_access_key_id",
            "secret_access_key": "aws_secret_access_key",
            "session_token": "aws_session_token",
        },
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
        settings={
            **provider.defaults,
            # LiteLLM adds its path to an address as it is: a slash at the end would be there twice.
            **{key: said[key].rstrip("/") for key in provider.settings if key in said},
        },
        secrets={key: secret for key, secret in secrets.items() if secret},
        context=said.get("context", 200_000),
        output=said.get("output", 32_000),
        base_model=said.get("base_model"),
    )
