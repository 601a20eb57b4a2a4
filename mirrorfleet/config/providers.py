"""Models of providers, and the providers that a gateway can route to, by LiteLLM's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mirrorfleet.config.abilities import AbilityKeys, ability_keys
from mirrorfleet.config.reader import Secret, Section
from mirrorfleet.data import price_list
from mirrorfleet.data.price_list import Listed


@dataclass(frozen=True)
class Provider:
    """LiteLLM's prefix for a provider's models, and its parameters for them.

    ``settings`` and ``secrets`` map the keys of the fleet file to LiteLLM's parameters.
    ``defaults`` are settings that are rendered even if the file does not have them.
    """

    prefix: str
    settings: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=lambda: {"api_key": "api_key"})
    defaults: Mapping[str, str] = field(default_factory=dict)


PROVIDERS: Mapping[str, Provider] = {
    # Always render the address: the passthrough sets a variable that would be its default.
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
    """``settings`` and ``secrets`` are the provider's parameters, by the keys of the file.

    ``assumed`` has the keys among ``context`` and ``output`` that are neither in the file nor in
    LiteLLM's price list. Both are in tokens. ``own_abilities`` has the abilities in the file, and
    ``listed_abilities`` the names of those in the price list; ``None`` if it is not listed.
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
    own_abilities: AbilityKeys
    listed_abilities: frozenset[str] | None


CONTEXT = 200_000
"""Context window in tokens if neither the file nor LiteLLM's price list has it."""

OUTPUT = 32_000
"""Most tokens of an answer, unless the file has more: every window reserves them."""


def provider_model(section: Section, release: str) -> ProviderModel:
    """Read one of ``models`` with ``provider``; missing limits come from LiteLLM's price list.

    ``release`` is LiteLLM's.
    """
    provider = PROVIDERS[section["provider"]]
    listed = price_list.listed(
        release, section["provider"], section["id"], section.get("base_model")
    )
    context, output = _limits(section, listed)
    secrets = {key: section.secret(key) for key in provider.secrets if section.get(key) != "none"}
    return ProviderModel(
        name=section.name,
        provider=section["provider"],
        id=section["id"],
        settings={
            **provider.defaults,
            # LiteLLM appends its path to the address: a trailing slash would be doubled.
            **{key: section[key].rstrip("/") for key in provider.settings if key in section},
        },
        secrets={key: secret for key, secret in secrets.items() if secret},
        context=context,
        output=output,
        base_model=section.get("base_model"),
        assumed=tuple(
            key
            for key, known in (
                ("context", listed and listed.prompt),
                ("output", listed and listed.output),
            )
            if key not in section and not known
        ),
        has_price=bool(listed and listed.has_price),
        own_abilities=ability_keys(section),
        listed_abilities=listed.abilities if listed else None,
    )


def _limits(section: Section, listed: Listed | None) -> tuple[int, int]:
    """Return context window and output limit in tokens: the file's, the list's, or a default.

    The list has the limit of a prompt alone, which is the window where prompt and answer share it.
    """
    context: int = section.get("context") or (listed and listed.prompt) or CONTEXT
    output: int = section.get("output") or min((listed and listed.output) or OUTPUT, OUTPUT)
    return context, output if "output" in section else min(output, context // 2)
