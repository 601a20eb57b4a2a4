"""LiteLLM's config.yaml: its sections, with the files that it includes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mirrorfleet.config.problems import Key
from mirrorfleet.data import table
from mirrorfleet.importing import gateway as of_gateway
from mirrorfleet.importing import litellm_options as options
from mirrorfleet.importing import mcp
from mirrorfleet.importing.draft import Draft, boolean
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.litellm_names import aliases, fallbacks, resolved
from mirrorfleet.importing.nodes import Node
from mirrorfleet.importing.releases import LITELLM
from mirrorfleet.importing.sources import Source, Sources

SECTIONS = ("litellm_settings", "router_settings", "general_settings")

FIRST = {"model_group_alias": 2, "model_alias_map": 2, "cache": 1, "database_url": 1}
"""Settings that others depend on, wherever the file has them."""

PING = "sse_keepalive_ping_interval_seconds"

FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


def sections(source: Source, sources: Sources, draft: Draft) -> dict[str, Node]:
    """Return the sections of a configuration, merged with its includes as LiteLLM merges them."""
    found = dict(source.tree.items)
    names = found.pop("include", None)
    for name in names.list if names else ():
        other = sources.file(source, name.text) if name.text else None
        if other is None:
            draft.leave(name, "the included file is not there: import it too", Fate.OPEN)
            continue
        draft.ledger.add(other.tree)
        draft.leave(name, "its sections are merged into this configuration", Fate.FOLDED)
        for key, section in sections(other, sources, draft).items():
            if key in found and isinstance(section.value, list):
                merged = [*found[key].list, *section.list]
                found[key] = Node(merged, section.file, section.line, section.key)
            else:
                draft.leave(found.get(key), f"the included file {other.name} replaces this section")
                found[key] = section
    draft.leave(names, "is not a list of files")
    return found


def is_of_mirrorfleet(found: dict[str, Node]) -> bool:
    """Return whether Mirrorfleet wrote the configuration."""
    general = found.get("general_settings")
    custom = general.get("custom_auth") if general else None
    return custom is not None and custom.text.startswith("mirrorfleet_auth")


def has_passthrough(found: dict[str, Node]) -> bool:
    """Return whether a configuration of Mirrorfleet's has a passthrough to Anthropic's API."""
    general = found.get("general_settings")
    return bool(general and general.get("pass_through_request_timeout"))


def settings(draft: Draft, found: dict[str, Node], source: Source) -> None:
    """Take every section but the models, which are in the draft already."""
    every = [
        (name, *each) for name in SECTIONS if name in found for each in found[name].items.items()
    ]
    for name, setting, node in sorted(every, key=lambda each: -FIRST.get(each[1], 0)):
        _setting(draft, name, setting, node, source)
    for name, section in found.items():
        if name == "environment_variables":
            for variable, node in section.items.items():
                of_gateway.variable(draft, variable, node)
        elif name == "guardrails":
            for node in section.list:
                options.guardrail(draft, node, source)
        elif name == "search_tools":
            options.search(draft, section)
        elif name == "mcp_servers":
            mcp.servers(draft, section)
        draft.leave(section, options.ELSEWHERE.get(name, "has no place in the fleet file"))


def _setting(draft: Draft, section: str, name: str, node: Node, source: Source) -> None:
    known = table(f"litellm_known/{LITELLM}")
    derived = table("litellm_derived")[section]
    if node.value is None:
        draft.leave(node, "is empty")
    elif name == "master_key":
        of_gateway.secret(draft, of_gateway.MASTER, node, "LITELLM_MASTER_KEY")
    elif name == PING and node.value == 30:
        draft.leave(node, "the default of the fleet file", Fate.DERIVED)
    elif name in FALLBACKS:
        fallbacks(draft, name, node)
    elif name.endswith("callback") or name == "callbacks":
        options.callbacks(draft, node, source)
    elif name in HANDLERS:
        HANDLERS[name](draft, node)
    elif name in derived:
        is_own = node.text.startswith("mirrorfleet_") or name in (
            "telemetry",
            "pass_through_request_timeout",
        )
        draft.leave(node, derived[name], Fate.DERIVED if is_own else Fate.LEFT_OUT)
    elif name in known[section]:
        value = draft.value(node, name)
        draft.put(("gateway", "extra", section, name), value)
        draft.settle(node, ("gateway", "extra", section, name))
    else:
        other = next((each for each in SECTIONS if name in known[each]), "")
        where = (
            f"LiteLLM reads it in {other}, not here"
            if other
            else f"LiteLLM {LITELLM} does not know it"
        )
        draft.leave(node, where)


def _number(*target: str, least: int = 0, most: int = 10**9) -> Callable[[Draft, Node], None]:
    return lambda draft, node: of_gateway.number(draft, target, node, least, most)


def _switch(*target: str, default: bool = False) -> Callable[[Draft, Node], None]:
    return lambda draft, node: of_gateway.switch(draft, target, node, default)


def _redis(part: str) -> Callable[[Draft, Node], None]:
    return lambda draft, node: of_gateway.redis(draft, part, node)


def _dropped(draft: Draft, node: Node) -> None:
    draft.leave(node, "parameters that a model does not support are always dropped", Fate.DERIVED)


def _verbose(draft: Draft, node: Node) -> None:
    if boolean(node):
        draft.leave(
            node, "it logs prompts and keys: write gateway.logging.level: DEBUG if you need it"
        )
    else:
        draft.leave(node, "the default of the fleet file", Fate.DERIVED)


def _cooldowns(draft: Draft, node: Node) -> None:
    if boolean(node):
        of_gateway.once(draft, ("gateway", "routing", "cooldown_time"), 0, node)
    else:
        draft.leave(node, "cooldowns follow from the number of deployments", Fate.DERIVED)


def _spend_logs(draft: Draft, node: Node) -> None:
    if boolean(node) is False and draft.get("gateway", "database"):
        draft.take(node, ("gateway", "database", "spend_logs"), True)
    else:
        draft.leave(node, "the default of the fleet file", Fate.DERIVED)


def _pool(draft: Draft, node: Node) -> None:
    if draft.get("gateway", "database"):
        of_gateway.number(draft, ("gateway", "database", "connection_pool_limit"), node, 1, 1000)
    else:
        draft.leave(node, "applies to a database, and there is none")


def _coordination(draft: Draft, node: Node) -> None:
    for name, value in node.items.items():
        if name in ("host", "port", "username", "password", "ssl"):
            of_gateway.redis(draft, name, value)
    draft.leave(node, "gateway.redis has no such key")


def _forward(draft: Draft, node: Node) -> None:
    if boolean(node):
        models = [
            name for name, model in draft.data.get("models", {}).items() if "engine" not in model
        ]
        of_gateway.once(
            draft, ("gateway", "forward_client_headers"), models, node, "for every model"
        )
    else:
        draft.leave(node, "the default of the fleet file", Fate.DERIVED)


def _groups(draft: Draft, node: Node) -> None:
    named = node.get("forward_client_headers_to_llm_api")
    for item in named.list if named else ():
        target = resolved(draft, item.text)
        key: Key = ("gateway", "forward_client_headers")
        if target is None:
            draft.leave(item, "LiteLLM has no model of this name either")
        elif target in (draft.get(*key) or ()):
            draft.leave(item, f"another name of '{target}'", Fate.FOLDED)
        else:
            draft.put(key, [*(draft.get(*key) or ()), target])
            draft.settle(item, key)
    draft.leave(node, "has no place in the fleet file")


def _strategy(draft: Draft, node: Node) -> None:
    known = {"usage-based-routing": "usage-based-routing-v2"}
    strategy = known.get(node.text, node.text)
    if strategy == "simple-shuffle":
        draft.leave(node, "the default of the fleet file", Fate.DERIVED)
    elif strategy in STRATEGIES:
        of_gateway.once(draft, ("gateway", "routing", "strategy"), strategy, node)
    else:
        draft.leave(node, "gateway.routing.strategy has no such strategy")


STRATEGIES = ("least-busy", "latency-based-routing", "cost-based-routing", "usage-based-routing-v2")

HANDLERS: dict[str, Callable[[Draft, Node], Any]] = {
    "request_timeout": _number("gateway", "timeout", least=30),
    "timeout": _number("gateway", "timeout", least=30),
    "stream_timeout": _number("gateway", "stream_timeout", least=5),
    "num_retries": _number("gateway", "routing", "retries", most=10),
    "cooldown_time": _number("gateway", "routing", "cooldown_time"),
    "allowed_fails": _number("gateway", "routing", "allowed_fails"),
    "disable_cooldowns": _cooldowns,
    "routing_strategy": _strategy,
    "optional_pre_call_checks": options.affinity,
    "model_group_alias": aliases,
    "model_alias_map": aliases,
    "json_logs": _switch("gateway", "logging", "json", default=True),
    "set_verbose": _verbose,
    "drop_params": _dropped,
    "cache": options.cache,
    "cache_params": options.cache_parameters,
    "model_group_settings": _groups,
    **{
        f"redis_{part}": _redis(part)
        for part in ("host", "port", "username", "password", "ssl", "url")
    },
    "database_url": of_gateway.database,
    "database_connection_pool_limit": _pool,
    "disable_spend_logs": _spend_logs,
    "coordination_redis": _coordination,
    "forward_client_headers_to_llm_api": _forward,
    "cancel_on_disconnect": _switch("gateway", "cancel_on_disconnect"),
    "max_in_flight_requests_per_worker": _number(
        "gateway", "limits", "max_in_flight_requests_per_worker", least=1
    ),
    "max_queued_requests_per_worker": _number(
        "gateway", "limits", "max_queued_requests_per_worker"
    ),
}
"""What takes each setting that has a key of its own in the fleet file."""
