"""Add what no input has: hosts, releases, keys, and what a gateway needs."""

from __future__ import annotations

from mirrorfleet.importing import claude, gateway
from mirrorfleet.importing.draft import Draft
from mirrorfleet.importing.engine import Engine
from mirrorfleet.importing.found import Found
from mirrorfleet.importing.nodes import NotReadable
from mirrorfleet.importing.releases import CLAUDE, LITELLM


def developers(draft: Draft, groups: list[claude.Group]) -> None:
    for group in groups:
        key = group.key
        if draft.get(*key) is None:
            draft.put(key, {})
        if draft.get(*key, "model") is None:
            names = [*draft.data.get("aliases", {}), *draft.data.get("models", {})]
            name = (
                next((each for each in ("sonnet", "opus") if each in names), None)
                or group.routes.first_model()
            )
            draft.choose((*key, "model"), name, "the input names no model that the gateway has")
        draft.choose((*key, "version"), CLAUDE, "the release that Mirrorfleet proposes")
        if draft.get("gateway", "external"):
            name = f"GATEWAY_KEY_{group.name.upper().replace('-', '_')}"
            draft.choose((*key, "key"), {"env": name}, "the key that the gateway gave this group")
        if group.seats:
            draft.put((*key, "seats"), group.seats)
            for host in group.seats:
                _machine(draft, host, "")
            continue
        host = "developer" if group.name == "developers" else "developer-managed"
        hosts = group.hosts or [host]
        draft.put((*key, "hosts"), hosts)
        draft.need(
            (*key, "users"), ["developer"], "the login names of the developers on these hosts"
        )
        for each in hosts:
            _machine(draft, each, "")
    if groups and not draft.get("gateway", "external"):
        draft.choose(
            ("keys", "root"),
            {"env": "MIRRORFLEET_KEY_ROOT"},
            "developers' keys are derived from it: create it with `openssl rand -hex 32`",
        )


def complete(draft: Draft, found: Found, groups: list[claude.Group]) -> None:
    """Add the hosts, and what every gateway needs."""
    for engine in found.engines:
        if any(
            engine.machine in (model.get("hosts") or ())
            for model in draft.data.get("models", {}).values()
        ):
            _machine(draft, engine.machine, engine.address)
            _gpus(draft, engine, found.engines)
    for model in draft.data.get("models", {}).values():
        for host in model.get("hosts", ()):
            _machine(draft, host, "")
    if not (draft.data.get("gateway") or draft.data.get("models") or found.gateway_hosts or groups):
        raise NotReadable(
            "import", 0, "nothing in these files describes a gateway, a model or a client"
        )
    if (only_engines(draft, found) and not groups) or draft.get("gateway", "external"):
        return
    if not draft.data.get("models"):
        model = {
            "provider": "anthropic",
            "id": "placeholder",
            "api_key": {"env": "ANTHROPIC_API_KEY"},
        }
        draft.need(("models", "placeholder"), model, "a model: import LiteLLM's config.yaml too")
    hosts = found.gateway_hosts or ["gateway"]
    address = next((group.address for group in groups if group.address), "")
    for host in hosts:
        _machine(draft, host, found.addresses.get(host) or (address if len(hosts) == 1 else ""))
    draft.put(("gateway", "hosts"), hosts)
    if len(hosts) > 1 and draft.get("gateway", "url") is None:
        question = "the URL of the load balancer before the gateways"
        if url := next((group.url for group in groups if group.address), ""):
            draft.put(("gateway", "url"), url)
        else:
            draft.need(("gateway", "url"), "https://gateway.invalid", question)
    draft.choose(("gateway", "version"), LITELLM, "the release that Mirrorfleet proposes")
    if draft.get(*gateway.MASTER) is None:
        draft.choose(
            gateway.MASTER,
            {"env": "LITELLM_MASTER_KEY"},
            "every gateway needs one: sk- and 16 characters",
        )
    gateway.finish_database(draft, found.image)
    gateway.finish_redis(draft)
    for name in sorted(draft.environment - set(draft.data["gateway"].get("environment", {}))):
        draft.put(("gateway", "environment", name), {"env": name})
    has_rates = draft.get("gateway", "limits", "models") and not draft.get("gateway", "redis")
    if has_rates and draft.get("gateway", "workers") != 1:
        draft.choose(
            ("gateway", "workers"), 1, "rates are counted per process, and there is no Redis"
        )


def only_engines(draft: Draft, found: Found) -> bool:
    """Return whether the input has engines, and nothing of a gateway."""
    of_gateway = (
        found.gateway_hosts or found.variables or found.arguments or draft.data.get("gateway")
    )
    return not of_gateway and all(
        "engine" in model for model in draft.data.get("models", {}).values()
    )


def _machine(draft: Draft, host: str, address: str) -> None:
    needed = [need for need in draft.needs if need.key == ("hosts", host, "address")]
    if address and needed:
        draft.needs.remove(needed[0])
        draft.put(("hosts", host, "address"), address)
    if draft.get("hosts", host, "address") is None:
        before = draft.data["hosts"].pop(host, {})
        draft.data["hosts"][host] = {}
        if address:
            draft.put(("hosts", host, "address"), address)
        else:
            draft.need(("hosts", host, "address"), f"{host}.invalid", "the address of this host")
        draft.data["hosts"][host] |= before


def _gpus(draft: Draft, engine: Engine, engines: list[Engine]) -> None:
    """Count the GPUs of an engine. An Ollama beside vLLM needs one that vLLM does not use."""
    beside = any(each.machine == engine.machine and each.kind == "vllm" for each in engines)
    if engine.kind == "ollama" and not (beside or _devices(draft, engine)):
        return
    devices = _devices(draft, engine)
    most = max(devices, default=-1) + 1
    count = draft.get("hosts", engine.machine, "gpus", "count") or 0
    count = max(most, count) if devices else count + engine.gpus
    draft.choose(
        ("hosts", engine.machine, "gpus", "count"), count, "the GPUs that these models use"
    )


def _devices(draft: Draft, engine: Engine) -> list[int]:
    """Return the GPUs that the models of an engine name."""
    named = list(engine.data.get("devices") or ())
    for model in draft.data.get("models", {}).values():
        if engine.kind == "ollama" == model.get("engine") and engine.machine in model["hosts"]:
            named += model.get("devices") or ()
    return [device for device in named if isinstance(device, int)]
