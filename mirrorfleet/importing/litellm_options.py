"""Parts of LiteLLM's configuration: callbacks, guardrails, cache and search."""

from __future__ import annotations

from mirrorfleet.config.problems import Key
from mirrorfleet.data import table
from mirrorfleet.importing import gateway as of_gateway
from mirrorfleet.importing.draft import Draft, boolean, plain, whole
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.hidden import Hidden, referred
from mirrorfleet.importing.nodes import Node
from mirrorfleet.importing.releases import LITELLM
from mirrorfleet.importing.sources import Source

ELSEWHERE = {
    "credential_list": "write the credentials at each model",
    "files_settings": "Claude Code sends no files to this API",
    "finetune_settings": "Claude Code does not train models",
    "vector_store_registry": "Claude Code does not search vector stores of the gateway",
    "prompts": "Claude Code does not use prompts of the gateway",
    "callback_settings": "write the callback's parameters in gateway.environment",
    "agent_list": "Claude Code does not call agents of the gateway",
}
"""Why sections of LiteLLM have no place in the fleet file."""


def callbacks(draft: Draft, node: Node, source: Source) -> None:
    """Take callbacks: LiteLLM's own by name, and those of a module beside the configuration."""
    known = table(f"litellm_known/{LITELLM}")["callbacks"]
    for item in node.list or [node]:
        name = item.text
        if name == "prometheus":
            if draft.get("gateway", "metrics") is None:
                draft.take(item, ("gateway", "metrics"), {})
            else:
                draft.leave(item, "gateway.metrics has it", Fate.FOLDED)
        elif name.startswith("mirrorfleet_"):
            draft.leave(item, "Mirrorfleet adds it", Fate.DERIVED)
        elif name in known or ("." in name and module(draft, name, source)):
            _append(draft, ("gateway", "callbacks"), name, item)
        elif "." in name:
            file = f"{name.rpartition('.')[0].replace('.', '/')}.py"
            draft.leave(item, f"put {file} beside the configuration and import again", Fate.OPEN)
        elif f"{name}_otel" in known:
            draft.leave(
                item, f"LiteLLM {LITELLM} does not load it: write gateway.callbacks: [{name}_otel]"
            )
        else:
            draft.leave(item, f"not a callback that gateways of LiteLLM {LITELLM} can load")
    draft.leave(node, "is not a list of names")


def _append(draft: Draft, key: Key, name: str, node: Node) -> None:
    before = draft.get(*key) or []
    if name in before:
        draft.leave(node, f"{'.'.join(map(str, key))} has it", Fate.FOLDED)
    else:
        draft.put(key, [*before, name])
        draft.settle(node, key)


def module(draft: Draft, name: str, source: Source) -> bool:
    """Add the module of `file.instance` to the gateway, if the file is beside the configuration."""
    file, _, part = name.rpartition(".")
    path = source.path.parent / f"{file}.py"
    if "." in file or not file.isidentifier() or not part.isidentifier() or not path.is_file():
        return False
    if str(path) not in (draft.get("gateway", "modules") or ()):
        draft.put(("gateway", "modules"), [*(draft.get("gateway", "modules") or ()), str(path)])
    return True


def guardrail(draft: Draft, node: Node, source: Source) -> None:
    """Take one of LiteLLM's guardrails."""
    known = table(f"litellm_known/{LITELLM}")
    derived = table("litellm_derived")["guardrail_parameters"]
    name, parameters = node.get("guardrail_name"), node.get("litellm_params")
    kind, mode = node.get("litellm_params", "guardrail"), node.get("litellm_params", "mode")
    if not (name and name.text and parameters and kind and mode):
        draft.leave(node, "a guardrail needs guardrail_name, guardrail and mode")
        return
    own = "." in kind.text
    if own and not module(draft, kind.text, source):
        draft.leave(kind, "put the module beside the configuration and import again", Fate.OPEN)
    elif not own and kind.text not in known["guardrails"]:
        draft.leave(kind, f"LiteLLM {LITELLM} has no guardrail of this name")
    if draft.ledger.has(kind):
        draft.leave(node, "its guardrail is not taken")
        return
    key: Key = ("gateway", "guardrails", plain(name.text))
    draft.take(kind, (*key, "guardrail"), kind.text)
    draft.settle(name, key)
    modes = [item.text for item in mode.list] or mode.text
    draft.take(mode, (*key, "mode"), modes)
    for parameter, value in parameters.items.items():
        if parameter in ("guardrail", "mode"):
            continue
        if parameter in derived:
            fate = Fate.DERIVED if boolean(value) else Fate.LEFT_OUT
            draft.leave(value, derived[parameter], fate)
        elif parameter in known["guardrail_parameters"] and value.value is not None:
            draft.take(value, (*key, "parameters", parameter))
        else:
            draft.leave(value, f"LiteLLM {LITELLM} has no parameter of this name")
    draft.leave(node, "guardrails have no other keys")


AFFINITY = {
    "session_affinity": "session",
    "prompt_caching": "prompt_caching",
    "deployment_affinity": "key",
}


def affinity(draft: Draft, node: Node) -> None:
    """Take the router's checks that keep a session, a prompt or a key on one deployment."""
    for item in node.list:
        if item.text in AFFINITY:
            of_gateway.once(draft, ("gateway", "routing", "affinity"), AFFINITY[item.text], item)
        elif item.text == "enforce_model_rate_limits":
            draft.leave(item, "gateway.limits.models always enforces its rates", Fate.DERIVED)
        else:
            draft.leave(item, "has no place in the fleet file")
    draft.leave(node, "is not a list of checks")


def cache(draft: Draft, node: Node) -> None:
    """Take the switch of the cache. Turns of Claude Code are never answered from a cache."""
    if boolean(node):
        draft.settle(node, ("gateway", "cache"), "for embeddings, transcription and ranking")
        if draft.get("gateway", "cache") is None:
            draft.put(("gateway", "cache"), {})
    else:
        draft.leave(node, "the default of the fleet file", Fate.DERIVED)


STORES = {"local": "memory", "in-memory": "memory", "redis": "redis"}


def cache_parameters(draft: Draft, node: Node) -> None:
    """Take the store of the cache, and the Redis that it names."""
    if draft.get("gateway", "cache") is None:
        draft.leave(node, "the cache is off")
        return
    kind = node.get("type")
    store = STORES.get(kind.text if kind else "local")
    if store is None:
        del draft.data["gateway"]["cache"]
        draft.leave(node, "gateways cache in memory or in Redis")
        return
    if kind:
        if store == "memory":
            draft.leave(kind, "the default of the fleet file", Fate.DERIVED)
        else:
            draft.take(kind, ("gateway", "cache", "store"), store)
    for name, value in node.items.items():
        if name == "ttl" and whole(value, 1):
            draft.take(value, ("gateway", "cache", "ttl"), whole(value, 1))
        elif name in ("host", "port", "username", "password", "ssl", "url") and store == "redis":
            of_gateway.redis(draft, name, value)
        elif name == "supported_call_types":
            draft.leave(
                value, "the cache is for embeddings, transcription and ranking", Fate.DERIVED
            )
    draft.leave(node, "gateway.cache has no such key")


def search(draft: Draft, section: Node) -> None:
    """Take the first search tool as the gateways' search service."""
    services = table("web_search")
    for tool in section.list:
        parameters = tool.get("litellm_params")
        service = tool.get("litellm_params", "search_provider")
        if draft.get("gateway", "web_search") is not None or service is None or parameters is None:
            draft.leave(tool, "gateways have one search service")
            continue
        if service.text not in services:
            draft.leave(tool, "not a search service that gateways can use")
            continue
        key: Key = ("gateway", "web_search")
        draft.take(service, (*key, "service"), service.text)
        for name, target in (("api_base", "url"), ("api_key", "key")):
            value = parameters.get(name)
            if value is None:
                continue
            if name == "api_key":
                of_gateway.secret(draft, (*key, target), value, f"{service.text.upper()}_API_KEY")
            elif not isinstance(value.value, Hidden) and referred(value.value) is None:
                draft.take(value, (*key, target), value.text)
            else:
                draft.need((*key, target), "http://search.invalid", "the URL of the search service")
                draft.leave(value, "gateway.web_search.url must be written itself")
        draft.leave(tool, "gateways need no other keys", Fate.DERIVED)
