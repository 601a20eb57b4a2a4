"""What a gateway's change newly needs of engine hosts that are skipped, or have failed.

A gateway keeps its running generation as long as the new one would lead where nothing answers yet:
to a model, an address, a window or a key that only a change of that host brings. Everything else
about it changes, also while an engine host that it leads to already is down.
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

from mirrorfleet.engines.registry import ENGINES
from mirrorfleet.planning import HostPlan, LitellmPlan, http
from mirrorfleet.roles.litellm import render
from mirrorfleet.runtime import run, skipped
from mirrorfleet.runtime.facts import Content
from mirrorfleet.runtime.observe import assumed, observe
from mirrorfleet.runtime.rollout import has_engines
from mirrorfleet.runtime.service import Service
from mirrorfleet.runtime.text import environment_file

CURRENT = f"/opt/mirrorfleet/{render.NAME}/current"
FILES = (Content(f"{CURRENT}/config.yaml"), Content(f"{CURRENT}/environment"))

Names = Mapping[str, frozenset["Deployment"]]
"""What stands behind each name of a gateway."""


@dataclass(frozen=True)
class Deployment:
    """What a gateway counts on: where a model is asked, by which name, window and key."""

    url: str
    asked: str


@dataclass(frozen=True)
class Unavailable:
    """Names of models that no developer is newly given: those that gateways do not have as the
    fleet file says (``changed``), and those whose engines are all in trouble (``down``)."""

    changed: Set[str]
    down: Set[str]


def troubled() -> list[Host]:
    """Return the engine hosts that this run skips, could not reach, or failed on."""
    return [
        each
        for each in run.hosts()
        if has_engines(run.plan_of(each))
        and (skipped.skips(run.plan_of(each), "engines") or each in run.state().failed_hosts)
    ]


def waits(this: Host, wanted: Service, unreached: Mapping[str, str]) -> str:
    """Return why a gateway keeps its running generation, or "" where nothing is in the way.

    ``unreached`` has the engines that already run and that its host does not reach: LiteLLM's
    api_base, and the URL in the fleet file.
    """
    hosts = troubled()
    if not hosts and not unreached:
        return ""
    new, now = names(wanted), running(this)
    known = {each for deployments in now.values() for each in deployments}
    causes = [(addresses(run.plan_of(host)), f"on {host.name}. Fix {host.name}") for host in hosts]
    causes += [
        ({base}, f"at {url}, which it does not reach. Open the way to it")
        for base, url in unreached.items()
    ]
    for urls, cause in causes:
        for model, deployments in new.items():
            if any(each.url in urls for each in deployments - known):
                return (
                    f"the gateway keeps its running generation, because the new one needs "
                    f"'{model}' {cause}, then run again."
                )
    return ""


def lost(gateways: Mapping[Host, Service]) -> set[str]:
    """Return the models and names that developers cannot newly be given in this run.

    Those of a gateway that keeps its running generation, where they differ from the wanted one.
    """
    return {
        name
        for host, wanted in gateways.items()
        if skipped.skips(run.plan_of(host), "gateway")
        for name, deployments in names(wanted).items()
        if running(host).get(name) != deployments
    }


def down(gateway: LitellmPlan, unreached: Iterable[str]) -> set[str]:
    """Return the names of models whose engine hosts are all skipped, have failed, or are
    ``unreached``, by LiteLLM's api_base."""
    urls = {url for host in troubled() for url in addresses(run.plan_of(host))} | {*unreached}
    bases: dict[str, set[str]] = {}
    for route in gateway.routes:
        bases.setdefault(route.model, set()).add(route.settings.get("api_base", ""))
    models = {model for model, asked in bases.items() if asked <= urls}
    return models | {alias for alias, model in gateway.aliases.items() if model in models}


def addresses(plan: HostPlan) -> set[str]:
    """Return where gateways ask the models of a host; of one on several nodes, the first node."""
    return {
        f"{http(engine.head, engine.port)}{ENGINES[engine.engine].api_path}"
        for engine in plan.engines
    }


def names(wanted: Service) -> Names:
    """Return what stands behind each name of the generation that is wanted."""
    return _names(wanted.files["config.yaml"], environment_file(wanted.environment))


def running(host: Host) -> Names:
    """Return what stands behind each name of a gateway as it was before this run.

    Read when it is first needed, and only where an engine host is in trouble.
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
        said = yaml.safe_load(config) or {}
        values = dict(line.split("=", 1) for line in environment.splitlines() if "=" in line)
        found: dict[str, set[Deployment]] = {}
        for name, deployment in _deployments(said, values):
            found.setdefault(name, set()).add(deployment)
        for alias, model in said["router_settings"]["model_group_alias"].items():
            found.setdefault(alias, set()).update(found.get(model, set()))
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # none that we wrote
    return {name: frozenset(deployments) for name, deployments in found.items()}


def _deployments(said: Any, values: Mapping[str, str]) -> Iterator[tuple[str, Deployment]]:
    for each in said["model_list"]:
        parameters, information = each["litellm_params"], each.get("model_info", {})
        asked = [
            parameters["model"],
            _secret(parameters.get("api_key"), values),
            information.get("max_input_tokens"),
            information.get("max_output_tokens"),
        ]
        url = parameters.get("api_base", "")
        yield each["model_name"], Deployment(url, json.dumps(asked))


def _secret(reference: Any, values: Mapping[str, str]) -> str:
    """Return what tells one secret from another, and is none."""
    name = str(reference).removeprefix("os.environ/")
    return sha256(values.get(name, name).encode()).hexdigest()
