"""One deployment of a model at a provider: address, keys, limits, and share of the load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mirrorfleet.config.abilities import AbilityKeys, ability_keys
from mirrorfleet.config.calls import Calls, calls
from mirrorfleet.config.litellm import Values, is_reference, values
from mirrorfleet.config.problems import Key
from mirrorfleet.config.providers import PROVIDERS
from mirrorfleet.config.reader import Secret, Section
from mirrorfleet.data import price_list
from mirrorfleet.data.price_list import Listed


@dataclass(frozen=True)
class Deployment:
    """``key`` is its place in the file; ``prefix`` and ``parameters`` have LiteLLM's names.

    ``settings`` and ``secrets`` are the provider's parameters, by the keys of the file. A setting
    that is a reference is among the secrets. ``assumed`` has the keys among ``context`` and
    ``output`` that are neither in the file nor in LiteLLM's price list. Both are in tokens.
    ``listed_mode`` is what the price list says that the model is for, ``own_abilities`` has the
    abilities in the file, and ``listed_abilities`` the names of those in the list; ``None`` if it
    is not listed.
    """

    key: Key
    provider: str
    prefix: str
    id: str
    settings: Mapping[str, str]
    secrets: Mapping[str, Secret]
    parameters: Values
    weight: float | None
    calls: Calls
    context: int
    output: int
    base_model: str | None
    assumed: tuple[str, ...]
    has_price: bool
    listed_mode: str
    own_abilities: AbilityKeys
    listed_abilities: frozenset[str] | None


CONTEXT = 200_000
"""Context window in tokens if neither the file nor LiteLLM's price list has it."""

OUTPUT = 32_000
"""Most tokens of an answer, unless the file has more: every window reserves them."""


def deployment(section: Section, release: str) -> Deployment:
    """Read a model of one provider, or one of ``deployments``.

    Missing limits come from the price list of LiteLLM ``release``.
    """
    provider = PROVIDERS[section["provider"]]
    prefix = provider.prefix or section["prefix"]
    base_model = section.get("base_model")
    listed = price_list.listed(
        release, (provider.prefix and section["provider"]) or prefix, section["id"], base_model
    )
    context, output = _limits(section, listed)
    references = {
        key: reference
        for key in provider.parameters
        if is_reference(section.get(key)) and (reference := section.secret(key))
    }
    return Deployment(
        key=section.key,
        provider=section["provider"],
        prefix=prefix,
        id=section["id"],
        settings={
            **{key: each for key, each in provider.defaults.items() if key not in references},
            # LiteLLM appends its path to the address: a trailing slash would be doubled.
            **{
                key: section[key].rstrip("/")
                for key in provider.settings
                if key in section and key not in references
            },
        },
        secrets=references,
        parameters=values(section.mapping("parameters")),
        weight=section.get("weight"),
        calls=calls(section),
        context=context,
        output=output,
        base_model=base_model,
        assumed=tuple(
            key
            for key, known in (
                ("context", listed and listed.prompt),
                ("output", listed and listed.output),
            )
            if key not in section and not known
        ),
        has_price=bool(listed and listed.has_price),
        listed_mode=listed.mode if listed else "chat",
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
