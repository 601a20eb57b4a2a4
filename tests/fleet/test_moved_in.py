"""Real LiteLLM configurations, and the fleet files that they become: both serve the same.

Each folder of tests/moved_in/ has a configuration of LiteLLM and its fleet file. Both are written
again after public ones, which docs/explanation/real-configurations.md names. Compared are names,
upstream models, addresses, keys, parameters, fallbacks and MCP servers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from mirrorfleet import fleet
from mirrorfleet.config import Secret
from mirrorfleet.planning import LitellmPlan
from mirrorfleet.roles.litellm.configuration import configuration
from mirrorfleet.roles.litellm.references import references, variables

FOLDERS = sorted(path.parent for path in Path(__file__).parents[1].glob("moved_in/*/fleet.yml"))

PAGE = Path(__file__).parents[2] / "docs/explanation/real-configurations.md"

NO_KEYS = ("dummy", "none", "not-needed", None)
"""What people write for a server without keys."""

DERIVED = {"model", "api_base", "api_key", "aws_region_name"}
"""Compared separately; a region that a file leaves to the environment is written in a fleet."""


@dataclass(frozen=True)
class Upstream:
    """Where a request for a model goes. An engine of the fleet has no ``prefix``: LiteLLM speaks
    another API to it."""

    prefix: str
    model: str
    address: str
    key: str


def plan_of(folder: Path) -> LitellmPlan:
    hosts = fleet.plan(fleet.load(folder / "fleet.yml")).hosts.values()
    return next(host.gateway for host in hosts if host.gateway)


def original(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
    return found


def rendered(plan: LitellmPlan) -> dict[str, Any]:
    """Return config.yaml with the variables of the fleet file, as a person would have written."""
    places = variables(plan.routes)
    names = {f"os.environ/{name}": secret for secret, name in references(plan).items()}
    for route in plan.routes:
        for name, secret in route.secrets.items():
            names[f"os.environ/{places[route.model, route.number, name]}"] = secret
    return _named(configuration(plan), names)  # type: ignore[no-any-return]


def _named(value: Any, names: dict[str, Secret]) -> Any:
    match value:
        case dict():
            return {name: _named(inner, names) for name, inner in value.items()}
        case list():
            return [_named(inner, names) for inner in value]
        case str() if value in names:
            return f"os.environ/{names[value].value}"
    return value


def upstream(parameters: dict[str, Any], is_engine: bool) -> Upstream:
    prefix, _, model = parameters["model"].partition("/")
    address, key = parameters.get("api_base") or "", parameters.get("api_key")
    if address and prefix == "hosted_vllm":
        prefix = "openai"  # the same API at an address; LiteLLM then never asks for /v1/responses
    if is_engine:
        prefix, address = "", urlsplit(address).netloc.removesuffix(":80")
    if prefix == "anthropic" and address == "https://api.anthropic.com":
        address = ""  # LiteLLM's own default
    return Upstream(prefix, model, address.rstrip("/"), "" if key in NO_KEYS else str(key))


def engines(plan: LitellmPlan) -> set[str]:
    return {route.model for route in plan.routes if route.engine is not None}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_a_real_configuration_moves_in(folder: Path) -> None:
    theirs, plan = original(folder), plan_of(folder)
    rendering, own = rendered(plan), engines(plan)
    served: dict[str, list[dict[str, Any]]] = {}
    for entry in rendering["model_list"]:
        served.setdefault(entry["model_name"], []).append(entry["litellm_params"])
    for name, model in plan.aliases.items():
        if model in served:  # a model of a wildcard is none of the list
            served.setdefault(name, served[model])
    own |= {name for name, model in plan.aliases.items() if model in own}
    requested: dict[str, list[dict[str, Any]]] = {}
    for entry in theirs["model_list"]:
        requested.setdefault(entry["model_name"], []).append(entry["litellm_params"])
    assert requested.keys() <= served.keys()
    for name, deployments in requested.items():
        pairs = list(zip(deployments, served[name], strict=True))
        for before, after in pairs:
            assert upstream(after, name in own) == upstream(before, name in own)
            kept = {key: after.get(key) for key in before if key not in DERIVED}
            assert kept == {key: value for key, value in before.items() if key not in DERIVED}
    for entry in theirs["model_list"]:
        info = entry.get("model_info", {})
        [after] = [
            each["model_info"]
            for each in rendering["model_list"]
            if each["model_name"] == entry["model_name"]
        ][:1] or [{}]
        for name in ("mode", "description"):
            assert info.get(name) in (None, after.get(name))
    settings = theirs.get("router_settings", {})
    for fallback in settings.get("fallbacks", ()):
        assert fallback in rendering["router_settings"]["fallbacks"]
    for name in settings.keys() - {"fallbacks", "optional_pre_call_checks"}:
        assert rendering["router_settings"][name] == settings[name]
    assert theirs.get("mcp_servers", {}).keys() == rendering.get("mcp_servers", {}).keys()
    for name, server in theirs.get("mcp_servers", {}).items():
        assert server.items() <= rendering["mcp_servers"][name].items()
    guards = {guard["guardrail_name"] for guard in theirs.get("guardrails", ())}
    assert guards == {guard["guardrail_name"] for guard in rendering.get("guardrails", ())}


def test_each_is_on_the_page_with_its_source() -> None:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    assert {line.split("`")[1] for line in lines} == {folder.name for folder in FOLDERS}
    assert len(lines) >= 20
    assert all(len(commit) == 40 for line in lines if (commit := line.rstrip(" |").split("`")[-2]))
