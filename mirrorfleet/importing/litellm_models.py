"""LiteLLM's model_list: each entry becomes a model of a provider, or one of its deployments."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from mirrorfleet.config import PROVIDERS
from mirrorfleet.config.addresses import before_v1
from mirrorfleet.data import price_list, table
from mirrorfleet.importing import prices
from mirrorfleet.importing.draft import Draft, boolean, whole
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.hidden import NO_KEY, Hidden, referred
from mirrorfleet.importing.nodes import Node
from mirrorfleet.importing.parts import Part, Piece
from mirrorfleet.importing.releases import LITELLM

NAME = re.compile(r"[A-Za-z0-9*][A-Za-z0-9._:/@+*-]{0,127}")
"""The names of models that a fleet file can have."""

URL = re.compile(r"https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]+)?(/[^\s?#]*)?")

KEYLESS = frozenset(
    (
        *("ollama", "ollama_chat", "hosted_vllm", "lm_studio", "llamafile", "vllm", "oobabooga"),
        *("docker_model_runner", "petals", "triton", "xinference", "infinity", "github_copilot"),
        *("chatgpt", "lemonade", "sagemaker", "sagemaker_chat", "oci"),
    )
)
"""Prefixes of providers that LiteLLM calls without an API key."""

OWN_PREFIX = {provider.prefix: name for name, provider in PROVIDERS.items() if provider.prefix}

VARIABLES = {"together_ai": "TOGETHERAI_API_KEY", "perplexity": "PERPLEXITYAI_API_KEY"}
"""LiteLLM's variables of keys that are not named after the prefix."""

DEFAULTS = {
    "azure": {"url": "AZURE_API_BASE", "api_version": "AZURE_API_VERSION"},
    "bedrock": {"region": "AWS_REGION_NAME"},
    "vertex_ai": {"project": "VERTEXAI_PROJECT", "region": "VERTEXAI_LOCATION"},
    "openai_compatible": {"url": "HOSTED_VLLM_API_BASE"},
}
"""The variables that LiteLLM reads if the configuration does not have a required setting."""

BY_ENVIRONMENT = "LiteLLM reads this variable if the configuration has no value"


def piece(node: Node, draft: Draft, *, is_own: bool) -> Piece | None:
    """Read an entry of model_list. ``None``: it is open, and its values have their fates.

    ``is_own``: Mirrorfleet wrote the configuration.
    """
    name, parameters = node.get("model_name"), node.get("litellm_params")
    model = node.get("litellm_params", "model")
    if name is None or model is None or parameters is None:
        draft.leave(node, "an entry needs model_name and litellm_params.model", Fate.OPEN)
        return None
    if not NAME.fullmatch(name.text):
        draft.leave(name, "names have letters, digits and . _ : / @ + - *: rename it", Fate.OPEN)
        draft.leave(node, "its model_name is open")
        return None
    found = Piece(name.text, node)
    base = parameters.items.get("api_base") or parameters.items.get("base_url")
    provider, prefix, identity = _provider(parameters, model.text, base, is_own)
    if not provider:
        why = (
            "LiteLLM does not know a provider of this name" if model.text else "is not written here"
        )
        draft.leave(model, f"{why}: write PROVIDER/MODEL", Fate.OPEN)
        draft.leave(node, "its model is open")
        return None
    found.parts.append(Part(name))
    found.data["provider"] = provider
    if provider == "litellm":
        found.data["prefix"] = prefix
    found.set("id", identity, model)
    prices.take(found, parameters, node.get("model_info"))
    taken = {part.node for part in found.parts}
    for setting, value in parameters.items.items():
        if setting not in ("model", "custom_llm_provider") and value not in taken:
            _parameter(found, draft, provider, setting, value)
    if named := parameters.items.get("custom_llm_provider"):
        found.parts.append(Part(named, ("provider",)))
    _information(found, draft, node, is_own)
    _required(found, provider, prefix)
    return found


def _provider(
    parameters: Node, model: str, base: Node | None, is_own: bool
) -> tuple[str, str, str]:
    """Return the fleet file's provider, LiteLLM's prefix, and the id; empty if there is none."""
    known = set(table(f"litellm_known/{LITELLM}")["providers"])
    named = parameters.get("custom_llm_provider")
    prefix, slash, rest = model.partition("/")
    if named and named.text in known:
        prefix, identity = named.text, model.removeprefix(f"{named.text}/")
    elif slash and rest and prefix in known:
        identity = rest
    else:
        listed = price_list.providers_of(LITELLM, model)
        first = next((each for each in ("openai", "anthropic", *listed) if each in listed), "")
        prefix, identity = first, model
        if not first and model == "*":
            prefix = ""
        elif not first and base is not None:
            prefix = "openai"
    if not prefix or not identity:
        return "", "", ""
    is_other = prefix in ("openai", "vllm") and base is not None and not _is_openai(base)
    if is_other and not is_own:  # Mirrorfleet itself writes this prefix for OpenAI's API only
        return "openai_compatible", "hosted_vllm", identity
    return OWN_PREFIX.get(prefix, "litellm"), prefix, identity


def _is_openai(base: Node) -> bool:
    host = urlsplit(base.text).hostname if base.text.startswith("http") else ""
    return bool(host) and str(host).endswith("openai.com")


def _parameter(found: Piece, draft: Draft, provider: str, name: str, node: Node) -> None:
    own = {parameter: key for key, parameter in PROVIDERS[provider].parameters.items()}
    name = "api_base" if name == "base_url" and "base_url" not in own else name
    derived, known = table("litellm_derived")["models"], table(f"litellm_known/{LITELLM}")["models"]
    hint = f"{found.name}_{own.get(name, name)}"
    if name in own and name in PROVIDERS[provider].secrets.values():
        _secret(found, draft, own[name], node, hint)
    elif name in own:
        _setting(found, draft, provider, own[name], node, hint)
    elif name == "api_key" or node.value is None:
        found.drop(
            node, "this provider has no such setting" if node.value is not None else "is empty"
        )
    elif name in ("timeout", "stream_timeout", "num_retries", "weight", "rpm", "tpm"):
        _limit(found, name, node)
    elif name == "drop_params":
        found.drop(
            node, "parameters that a model does not support are always dropped", Fate.DERIVED
        )
    elif name == "litellm_credential_name":
        found.drop(node, "write the credentials at the model itself", Fate.OPEN)
    elif name in derived:
        found.drop(node, derived[name])
    elif name in known:
        value = prices.cost(name, node)
        value = draft.value(node, hint) if value is None else value
        found.data.setdefault("parameters", {})[name] = value
        found.parts.append(Part(node, ("parameters", name)))
    else:
        found.drop(node, f"LiteLLM {LITELLM} has no parameter of this name")


def _secret(found: Piece, draft: Draft, key: str, node: Node, hint: str) -> None:
    is_path = key == "credentials" and isinstance(node.value, str) and node.value.endswith(".json")
    variable = referred(node.value)
    if isinstance(node.value, Hidden):
        found.set(key, draft.reference(node.value, hint), node)
    elif variable:
        found.set(key, {"env": variable}, node)
    elif is_path and key == "credentials":
        found.set(key, {"file": node.text}, node)
    elif node.text.strip().lower() in NO_KEY:
        if found.data["provider"] in ("openai_compatible", "litellm"):
            found.set(key, "none", node, "no key is asked for")
        else:
            found.drop(node, "is no key: the variable of this provider is written instead")
    else:
        found.set(key, draft.reference(Hidden(-1 - len(draft.variables)), hint), node)


def _setting(found: Piece, draft: Draft, provider: str, key: str, node: Node, hint: str) -> None:
    value = draft.value(node, hint)
    if isinstance(value, dict | list) and not (isinstance(value, dict) and set(value) == {"env"}):
        found.drop(node, "must be a text", Fate.OPEN)
        return
    text = value if isinstance(value, dict) else str(value)
    if key == "url" and isinstance(text, str):
        if provider == "anthropic":
            text = before_v1(text) or text
        if not URL.fullmatch(text):
            found.drop(node, "is not a whole http URL: write it here", Fate.OPEN)
            found.ask(key, "http://engine.invalid", "the URL of the server")
            return
    found.set(key, text, node)


def _limit(found: Piece, name: str, node: Node) -> None:
    if name in ("rpm", "tpm"):
        if (number := whole(node, 1)) is not None:
            found.rate[name] = number
            found.parts.append(Part(node, ("rate", name), Fate.TAKEN, "for each deployment"))
        else:
            found.drop(node, "must be a whole number", Fate.OPEN)
        return
    if name == "weight":
        weight = node.value
        if isinstance(weight, int | float) and not isinstance(weight, bool) and weight > 0:
            found.set("weight", weight, node)
        else:
            found.drop(node, "a weight is a number above 0")
        return
    key = "retries" if name == "num_retries" else name
    low, high = (0, 10) if key == "retries" else (5, 10**6)
    number = whole(node, low, high)
    if number is None:
        found.drop(
            node, f"{key} is a number from {low}{' to 10' if key == 'retries' else ' seconds'}"
        )
    else:
        found.set(key, number, node)


def _information(found: Piece, draft: Draft, entry: Node, is_own: bool) -> None:
    node = entry.get("model_info")
    if node is None:
        return
    derived = table("litellm_derived")["model_info"]
    has_abilities = found.data["provider"] != "anthropic"
    taken = {part.node for part in found.parts}
    for name, value in node.items.items():
        number = whole(value, 1)
        if value in taken:
            continue
        if name == "base_model" and value.text:
            found.set("base_model", value.text, value)
        elif name == "max_input_tokens" and number and number >= 4096:
            other = node.get("max_output_tokens")
            room = whole(other) if is_own and other else 0
            found.set("context", number + (room or 0), value)
        elif (name == "max_output_tokens" and number and number >= 256) or (
            name == "max_tokens"
            and number
            and "max_output_tokens" not in node.items
            and number >= 256
        ):
            found.set("output", number, value)
        elif name == "supports_vision" and has_abilities and boolean(value) is not None:
            found.set("vision", boolean(value), value)
        elif name == "supports_function_calling" and has_abilities and boolean(value) is False:
            found.set("tools", False, value)
        elif name in (
            "id",
            "db_model",
            "allowed_fails",
            "supports_adaptive_thinking",
            "supports_function_calling",
        ):
            found.drop(value, "Mirrorfleet sets it from the model", Fate.DERIVED)
        elif name.startswith("mirrorfleet_"):
            reason = "Mirrorfleet derives it, or the model has a key for it"
            found.drop(value, reason, Fate.DERIVED)
        elif name in derived:
            found.drop(value, "not a value that this key can have: " + derived[name])
        elif name == "mode" and value.text in ("chat", "completion") and not is_own:
            found.drop(value, "the mode of every model that has no other", Fate.DERIVED)
        else:
            price = prices.cost(name, value)
            found.model.setdefault("model_info", {})[name] = (
                draft.value(value, f"{found.name}_{name}") if price is None else price
            )
            found.parts.append(Part(value, ("model_info", name)))


def _required(found: Piece, provider: str, prefix: str) -> None:
    for key, variable in DEFAULTS.get(provider, {}).items():
        found.default(key, {"env": variable}, BY_ENVIRONMENT)
    data = found.data
    if (
        provider == "bedrock"
        or provider == "vertex_ai"
        or "client_secret" in data
        or "api_key" in data
    ):
        return
    if provider == "openai_compatible":
        return
    if (
        prefix in KEYLESS
        or {"aws_access_key_id", "vertex_credentials"} & data.get("parameters", {}).keys()
    ):
        found.default("api_key", "none", "the provider is called without a key")
    else:
        variable = VARIABLES.get(prefix, f"{prefix.upper().replace('-', '_')}_API_KEY")
        found.default("api_key", {"env": variable}, BY_ENVIRONMENT)


def limits(pieces: list[Piece]) -> dict[str, Any]:
    """Return the rates of a model from those of its deployments: the smallest of each."""
    return {
        name: min(each.rate[name] for each in pieces if name in each.rate)
        for name in ("rpm", "tpm")
        if any(name in each.rate for each in pieces)
    }
