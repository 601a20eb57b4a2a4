"""Search services without an address or a key, and those that no model of the fleet needs."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet, Gateway
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.config.web_search import WebSearch
from mirrorfleet.data import table
from mirrorfleet.engines.abilities import has_web_search

KEY: Key = ("gateway", "web_search")


def problems(fleet: Fleet) -> Iterator[Problem]:
    gateway = fleet.gateway
    if gateway and gateway.web_search:
        yield from _service(fleet, gateway, gateway.web_search)
        yield from _twice(fleet, gateway)
        yield from _useless(fleet)


def _service(fleet: Fleet, gateway: Gateway, search: WebSearch) -> Iterator[Problem]:
    """Yield what the service needs and the file does not have."""
    needs = table("web_search").get(search.service)
    if needs is None:
        return  # the schema reports it
    if needs["url"] == "required" and not search.url:
        yield fleet.document.problem(
            KEY,
            f"'{search.service}' has no address of its own.",
            "Add url, for example https://search.example.com.",
        )
    if needs["key"] == "required" and not search.key:
        variable = f"{search.service.upper()}_API_KEY"
        yield fleet.document.problem(
            KEY,
            f"'{search.service}' rejects requests without a key.",
            f"Add key: {{env: {variable}}}.",
        )
    if needs["key"] == "none" and search.key:
        yield fleet.document.problem(
            (*KEY, "key"), f"'{search.service}' takes no key.", "Remove it."
        )
    if search.key and search.url and search.url.startswith("http://"):
        yield fleet.document.warning(
            (*KEY, "url"),
            "is without TLS: the key would be sent unencrypted.",
            "Write an https URL.",
        )
    for variable in needs.get("environment", ()):
        if variable not in gateway.environment:
            yield fleet.document.problem(
                KEY,
                f"'{search.service}' needs the variable {variable}.",
                f"Add it to gateway.environment: {{{variable}: VALUE}}.",
                given=(("gateway", "environment"),),
            )


def _twice(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    """Yield the same settings by LiteLLM's names: it would intercept each search twice."""
    fix = "Remove it, or gateway.web_search."
    conflict = "conflicts with gateway.web_search."
    for index, name in enumerate(gateway.callbacks):
        if name == "websearch_interception":
            yield fleet.document.problem(("gateway", "callbacks", index), conflict, fix)
    for section, name in (
        ("litellm_settings", "websearch_interception_params"),
        ("general_settings", "search_tools"),
    ):
        if name in gateway.extra.get(section, {}):
            yield fleet.document.problem(("gateway", "extra", section, name), conflict, fix)


def _useless(fleet: Fleet) -> Iterator[Problem]:
    if fleet.models and all(has_web_search(model) for model in fleet.models.values()):
        yield fleet.document.warning(
            KEY,
            "is not used: the providers of all models search the web themselves.",
            "Remove it, or add a model on an engine or at Bedrock.",
            given=(("models",),),
        )
