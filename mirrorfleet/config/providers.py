"""The providers that a gateway can route to: LiteLLM's prefix, and its names of their settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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

    @property
    def parameters(self) -> dict[str, str]:
        """Return LiteLLM's parameter of each key of the fleet file."""
        return {**self.settings, **self.secrets}


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
    # Every other provider of LiteLLM: the deployment has its prefix.
    "litellm": Provider("", {"url": "api_base"}),
}
