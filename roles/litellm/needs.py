"""What a new generation of a gateway needs from engine hosts that are skipped, or have failed.

A gateway keeps its running generation while the new one would route to a model, an address, a
window or a key that exists only after a change of such a host. Any other change of a gateway takes
place, also while an engine host that it already routes to is down.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

import yaml
from pyinfra.api import Host
from pyinfra.api.exceptions import DeployError

from mirrorfleet.config.yaml_nodes import Loader
from mirrorfleet.engines.registry import ENGINES
from mirrorfleet.planning import HostPlan, LitellmPlan, http
from mirrorfleet.roles.litellm.paths import NAME
from mirrorfleet.runtime import run, skipped
from mirrorfleet.runtime.facts import Content
from mirrorfleet.runtime.intermittent import is_offline
from mirrorfleet.runtime.observe import assumed, observe
from mirrorfleet.runtime.rollout import has_engines
from mirrorfleet.runtime.service import Service
from mirrorfleet.runtime.text import environment_file

CURRENT = f"/opt/mirrorfleet/{NAME}/current"
FILES = (Content(f"{CURRENT}/config.yaml"), Content(f"{CURRENT}/environment"))

Names = Mapping[str, frozenset["Deployment"]]
"""The deployments behind each name of a gateway."""


@dataclass(frozen=True)
class Deployment:
    """A model at a URL; ``parameters`` identifies its name, its key and its window."""

    url: str
    parameters: str


@dataclass(frozen=True)
class Unavailable:
    """Names of models that this run must not add to developers' settings.

    ``changed``: gateways do not serve them as the fleet file says. ``down``: all their engine hosts
    are skipped, or have failed.
    """

    changed: Set[str]
    down: Set[str]


def troubled() -> list[Host]:
    """Return the engine hosts that this run skips, cannot reach, or has failed on."""
    return [
        host
        for host in run.hosts_with(has_engines)
        if skipped.is_skipped(run.plan_of(host), "engines")
        or host in run.state().failed_hosts
        or is_offline(host)
    ]


def waits(this: Host, desired: Service, unreached: Mapping[str, str]) -> str:
    """Return why a gateway keeps its running generation; "" if it can change.

    ``unreached`` are engines that already run, without a reply to the gateway's host: LiteLLM's
    api_base of each, and its URL in the fleet file.
    """
    hosts = troubled()
    if not hosts and not unreached:
        return ""
    new, current = names(desired), running(this)
    known = {deployment for deployments in current.values() for deployment in deployments}
    causes = [(addresses(run.plan_of(host)), f"on {host.name}. Fix {host.name}") for host in hosts]
    causes += [
        ({base}, f"at {url}, without a reply from there. Start it or open its port")
        for base, url in unreached.items()
    ]
    for urls, cause in causes:
        for model, deployments in new.items():
            if any(deployment.url in urls for deployment in deployments - known):
                return (
                    f"the gateway keeps its running generation, because the new one needs "
                    f"'{model}' {cause}, then run again."
                )
    return ""


def lost(gateways: Mapping[Host, Service]) -> set[str]:
    """Return the names of models that differ between desired and running generations.

    Only gateways that keep their running generation in this run have such a difference.
    """
    return {
        name
        for host, desired in gateways.items()
        if skipped.is_skipped(run.plan_of(host), "gateway")
        for name, deployments in names(desired).items()
        if running(host).get(name) != deployments
    }


def down(gateway: LitellmPlan, unreached: Iterable[str]) -> set[str]:
    """Return the names of models whose engine hosts are all skipped, have failed, or are
    ``unreached``, by LiteLLM's api_base."""
    urls = {url for host in troubled() for url in addresses(run.plan_of(host))} | {*unreached}
    bases: dict[str, set[str]] = {}
    for route in gateway.routes:
        bases.setdefault(route.model, set()).add(route.settings.get("api_base", ""))
    models = {model for model, base_urls in bases.items() if base_urls <= urls}
    return models | {alias for alias, model in gateway.aliases.items() if model in models}


def addresses(plan: HostPlan) -> set[str]:
    """Return the URLs of a host's engines, for answers and for embeddings.

    An engine on several nodes has its first node's.
    """
    return {
        f"{http(engine.head_address, engine.port)}{path}"
        for engine in plan.engines
        for path in (ENGINES[engine.engine].api_path, ENGINES[engine.engine].pooling_path)
    }


def names(desired: Service) -> Names:
    """Return the deployments behind each name of the desired generation.

    Each step of a run asks for them, and the configuration of a large fleet takes long to parse.
    """
    texts = desired.files["config.yaml"], environment_file(desired.environment)
    return run.current().once(("desired deployments", *texts), partial(_names, *texts))


def running(host: Host) -> Names:
    """Return the deployments behind each name of a gateway before this run.

    Reads the gateway's files at the first call, which only a failed or skipped engine host causes.
    """
    return run.current().once(("running deployments", host), partial(_read, host))


def _read(host: Host) -> Names:
    try:
        found = observe(host, FILES)
    except DeployError:
        found = assumed()
    config, environment = ((found[file] or b"").decode(errors="replace") for file in FILES)
    return _names(config, environment)


def _names(config: str, environment: str) -> Names:
    try:
        parsed = yaml.load(config, Loader) or {}
        values = dict(line.split("=", 1) for line in environment.splitlines() if "=" in line)
        found: dict[str, set[Deployment]] = {}
        for name, deployment in _deployments(parsed, values):
            found.setdefault(name, set()).add(deployment)
        for alias, model in parsed["router_settings"]["model_group_alias"].items():
            found.setdefault(alias, set()).update(found.get(model, set()))
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # not a configuration by Mirrorfleet
    return {name: frozenset(deployments) for name, deployments in found.items()}


def _deployments(config: Any, values: Mapping[str, str]) -> Iterator[tuple[str, Deployment]]:
    for entry in config["model_list"]:
        parameters, information = entry["litellm_params"], entry.get("model_info", {})
        identity = [
            parameters["model"],
            _secret(parameters.get("api_key"), values),
            information.get("max_input_tokens"),
            information.get("max_output_tokens"),
        ]
        url = parameters.get("api_base", "")
        yield entry["model_name"], Deployment(url, json.dumps(identity))


def _secret(reference: Any, values: Mapping[str, str]) -> str:
    """Return a digest of a secret, to compare secrets without holding them."""
    name = str(reference).removeprefix("os.environ/")
    return sha256(values.get(name, name).encode()).hexdigest()
