"""The roles of a fleet, in the order in which a run asks them."""

from mirrorfleet.roles import (
    claude,
    firewall,
    front,
    litellm,
    migrations,
    ollama,
    ports,
    postgres,
    preflight,
    redis,
    vllm,
)
from mirrorfleet.runtime import Role

ROLES: tuple[Role, ...] = (
    preflight,
    firewall,
    ports,
    vllm,
    ollama,
    redis,
    postgres,
    migrations,
    litellm,
    front,
    claude,
)
