"""Pure: from the plan of a gateway to LiteLLM's configuration, keys, environment and unit."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from fleet.plan import LitellmPlan, Route, http
from fleet.spec import Secret
from roles.host.observe import Observation
from roles.host.places import ROOT, STATE
from roles.host.service import Service
from roles.host.text import template

NAME = "litellm"
USER = "mirrorfleet-litellm"
HERE = Path(__file__).parent
SCRIPTS = ("mirrorfleet_auth.py", "check.py")

WORKER_MEMORY = 420 * 1024**2
"""Bytes that a worker was measured to take under load; half of the memory is for workers."""

START = 120
"""Seconds from start to ready; 6 to 16 were measured."""


def service(
    gateway: LitellmPlan, environment: str, secrets: Mapping[Secret, str], seen: Observation
) -> Service:
    """Return the gateway's service.

    ``environment`` is the directory of its Python environment, ``secrets`` maps each reference of
    the plan to its value.
    """
    url = f"{http(gateway.listen, '$port')}/health/readiness"
    count = workers(gateway, seen)
    return Service(
        name=NAME,
        user=USER,
        port=gateway.port,
        software=environment,
        unit=template(
            HERE / "templates" / "unit.service.j2",
            user=USER,
            directory=f"{ROOT}/{NAME}",
            command=shlex.join([f"{environment}/bin/litellm", *arguments(gateway, count)]).replace(
                " --", " \\\n    --"
            ),
            stop=gateway.timeout + 30,
        ),
        environment=variables(gateway, secrets),
        files={
            "config.yaml": yaml.safe_dump(configuration(gateway), sort_keys=False),
            "keys.json": json.dumps(keys(gateway, secrets), indent=1) + "\n",
            **{name: (HERE / "files" / name).read_text("utf-8") for name in SCRIPTS},
        },
        ready=f"curl -fsS -m 5 -o /dev/null {url} 2>/dev/null",
        seconds=START,
        check=f"{environment}/bin/python check.py",
    )


def workers(gateway: LitellmPlan, seen: Observation) -> int:
    """Return the number of workers: as said, or by the host's cores and memory, two at least.

    With one worker, recycling it would stop the gateway.
    """
    if gateway.workers != "auto":
        return gateway.workers
    return max(2, min(seen.cores, seen.memory // 2 // WORKER_MEMORY))


def arguments(gateway: LitellmPlan, count: int) -> list[str]:
    """Return LiteLLM's command line."""
    said = [
        f"--config={ROOT}/{NAME}/current/config.yaml",
        f"--host={gateway.listen}",
        f"--port={gateway.port}",
        f"--num_workers={count}",
    ]
    if gateway.max_requests_before_restart:
        said.append(f"--max_requests_before_restart={gateway.max_requests_before_restart}")
        said.append(f"--max_requests_before_restart_jitter={gateway.jitter}")
    return said


def configuration(gateway: LitellmPlan) -> dict[str, Any]:
    """Return config.yaml as plain data; secrets stand in the environment, by name."""
    replicas = max(Counter(route.model for route in gateway.routes).values())
    return {
        "model_list": [_deployment(route) for route in gateway.routes],
        "litellm_settings": {
            "request_timeout": gateway.timeout,
            "json_logs": True,
            "telemetry": False,
        },
        "router_settings": {
            "routing_strategy": "simple-shuffle",
            "model_group_alias": dict(gateway.aliases),
            "fallbacks": _fallbacks(gateway.fallbacks),
            "context_window_fallbacks": _fallbacks(gateway.context_window_fallbacks),
            # Claude Code tries ten times by itself: the gateway tries the other replicas only.
            "num_retries": replicas - 1,
            # To rest the only engine after one error would refuse everybody's next requests.
            "disable_cooldowns": replicas == 1,
        },
        "general_settings": {
            "master_key": "os.environ/LITELLM_MASTER_KEY",
            "custom_auth": "mirrorfleet_auth.authenticate",
            "disable_spend_logs": True,
        },
    }


def _fallbacks(said: Mapping[str, tuple[str, ...]]) -> list[dict[str, list[str]]]:
    return [{name: list(to)} for name, to in said.items()]


def _deployment(route: Route) -> dict[str, Any]:
    parameters: dict[str, Any] = {"model": route.upstream, **route.settings}
    for name in route.secrets:
        parameters[name] = f"os.environ/{_variable(route, name)}"
    if "api_base" in route.settings:
        # LiteLLM wants a key for a server of one's own, also where that asks for none.
        parameters.setdefault("api_key", "none")
    if route.bearer:
        authorization = f"os.environ/{_variable(route, 'bearer')}"
        parameters["extra_headers"] = {"Authorization": authorization}
    information: dict[str, Any] = {
        "max_input_tokens": route.context - route.output,
        "max_output_tokens": route.output,
    }
    if route.base_model:
        information["base_model"] = route.base_model
    return {
        "model_name": route.model,
        "litellm_params": parameters,
        "model_info": information,
    }


def _variable(route: Route, name: str) -> str:
    """Return the environment variable of a model's secret: MODEL_CODER_API_KEY."""
    return "_".join(["MODEL", *re.findall("[A-Z0-9]+", f"{route.model} {name}".upper())])


def keys(gateway: LitellmPlan, secrets: Mapping[Secret, str]) -> dict[str, Any]:
    """Return keys.json: only hashes, so that the file is worth nothing to a thief."""
    return {
        "version": 1,
        "keys": [
            {
                "sha256": sha256(secrets[secret].encode()).hexdigest(),
                "name": name,
                "role": "developer",
            }
            for name, secret in sorted(gateway.keys.items())
        ],
    }


def variables(gateway: LitellmPlan, secrets: Mapping[Secret, str]) -> dict[str, str]:
    """Return the environment of the process."""
    said = {
        "LITELLM_MASTER_KEY": secrets[gateway.master_key],
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
        # Neither prices nor header lists are fetched from the internet at start.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
        # A turn in progress is finished before the process goes.
        "GRACEFUL_SHUTDOWN_TIMEOUT": str(gateway.timeout),
        "NO_DOCS": "True",
        "NO_REDOC": "True",
        "NO_OPENAPI": "True",
        "DISABLE_ADMIN_UI": "True",
        "HOME": f"{STATE}/{NAME}",
    }
    for route in gateway.routes:
        for name, secret in route.secrets.items():
            said[_variable(route, name)] = secrets[secret]
        if route.bearer:
            said[_variable(route, "bearer")] = f"Bearer {secrets[route.secrets['api_key']]}"
    return said
