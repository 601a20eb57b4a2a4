"""Models of providers, and the providers that a gateway can route to, in LiteLLM's terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mirrorfleet.config.reader import Secret, Section
from mirrorfleet.data import price_list
from mirrorfleet.data.price_list import Listed


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
    "gemini": Provider("gemini", {"url": "api_base"}),
}


@dataclass(frozen=True)
class ProviderModel:
    """``settings`` and ``secrets`` are what the provider wants to know, by the file's own keys.

    ``assumed`` are the keys among context and output that nobody says, the price list neither.
    """

    name: str
    provider: str
    id: str
    settings: Mapping[str, str]
    secrets: Mapping[str, Secret]
    context: int
    output: int
    base_model: str | None
    assumed: tuple[str, ...]
    has_price: bool


CONTEXT = 200_000
"""Tokens of a window that neither the file nor LiteLLM's price list tells."""

OUTPUT = 32_000
"""Tokens of an answer at most, unless the file says more: they are kept free in every window."""


def provider_model(said: Section, release: str) -> ProviderModel:
    """Read a model; what it leaves out is what the price list of LiteLLM's ``release`` says."""
    provider = PROVIDERS[said["provider"]]
    listed = price_list.listed(release, said["provider"], said["id"], said.get("base_model"))
    context, output = _limits(said, listed)
    secrets = {key: said.secret(key) for key in provider.secrets if said.get(key) != "none"}
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
        context=context,
        output=output,
        base_model=said.get("base_model"),
        assumed=tuple(
            key
            for key, known in (
                ("context", listed and listed.prompt),
                ("output", listed and listed.output),
            )
            if key not in said and not known
        ),
        has_price=bool(listed and listed.has_price),
    )


def _limits(said: Section, listed: Listed | None) -> tuple[int, int]:
    """Return the window and the cap of answers: the file's, the list's, or what is assumed.

    The list counts a prompt alone; where prompt and answer share a window, that is the window.
    """
    context: int = said.get("context") or (listed and listed.prompt) or CONTEXT
    output: int = said.get("output") or min((listed and listed.output) or OUTPUT, OUTPUT)
    return context, output if "output" in said else min(output, context // 2)
