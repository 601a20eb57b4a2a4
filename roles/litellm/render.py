"""Render the plan of a gateway as LiteLLM's configuration, environment and unit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit

import yaml

from mirrorfleet.config import Secret
from mirrorfleet.planning import DatabasePlan, LitellmPlan, http
from mirrorfleet.roles.litellm import container, running
from mirrorfleet.roles.litellm.configuration import configuration
from mirrorfleet.roles.litellm.references import references
from mirrorfleet.roles.litellm.references import variables as variables_of
from mirrorfleet.roles.litellm.scripts import (
    checks_windows,
    mends_requests,
    scripts,
    translates_thinking,
)
from mirrorfleet.roles.litellm.software import ENVIRONMENTS
from mirrorfleet.runtime import locks, tables
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT, STATE
from mirrorfleet.runtime.service import Installed, Service
from mirrorfleet.runtime.shell import shell
from mirrorfleet.runtime.text import exec_start, shell_lines, template

NAME = "litellm"
USER = "mirrorfleet-litellm"
KEYS = f"{ROOT}/{NAME}/keys"
"""Outside the generations, so that a change of keys needs no restart."""

HERE = Path(__file__).parent

PROGRAM = "mirrorfleet_database.py"
"""The program that starts LiteLLM with a database, in an image."""

PLACE = "database"
"""The file that identifies the database: a gateway changes to another one only on request."""

HELD = "/run/mirrorfleet/litellm.held"
"""The file that makes the gateway drain: see mirrorfleet_readiness.py."""

COUNTS = f"{STATE}/{NAME}/counts-1"
"""The token counts that all workers share; another layout needs another name."""

WORKER_MEMORY = 420 * 1024**2
"""Measured memory of a worker under load, in bytes. Workers get half of the host's memory."""

START = 300
"""Maximum seconds from start to the end of all probes; 6 to 16 were measured until ready."""

TURNS = 30
"""Maximum seconds for the turns of the probe, once all workers answer."""

STOP = 30
"""Seconds between the maximum time of turns and SIGKILL."""

PATIENCE = 60
"""Seconds in which a worker must reply to uvicorn's ping.

uvicorn's default of 5 is less than a worker needs to load LiteLLM on a busy host: it would be
killed and restarted for ever. A serving worker that stalls for longer than this loses its streams.
"""


def installed(gateway: LitellmPlan, observed: Observation) -> Installed:
    """Return the properties of every generation, with and without a container."""
    hooks = shell(HERE / "files" / "hooks.sh") + running.hooks(gateway)
    return Installed(
        name=NAME,
        user=USER,
        port=gateway.port,
        software=ENVIRONMENTS,
        hooks=hooks
        + (container.HOOKS if container.has_containers(gateway.image, observed) else ""),
        seconds=START,
        draining=HELD,
    )


def service(
    gateway: LitellmPlan, environment: str, secrets: Mapping[Secret, str], observed: Observation
) -> Service:
    """Return the gateway's service.

    ``environment`` is the directory of its Python environment; with an image, it is not used.
    ``secrets`` maps each reference of the plan to its value.
    """
    count = workers(gateway, observed)
    stop = gateway.drain_seconds + gateway.stop_timeout + STOP
    service = Service(
        **vars(installed(gateway, observed)),
        unit=template(
            HERE / "templates" / "unit.service.j2",
            user=USER,
            directory=f"{ROOT}/{NAME}",
            container=container.NAME if gateway.image else "",
            command=f"/bin/sh {ROOT}/{NAME}/current/container.sh serve"
            if gateway.image
            else exec_start([f"{environment}/bin/litellm", *arguments(gateway, count)]),
            held=HELD,
            hold=START + 60,
            drain=gateway.drain_seconds,
            stop=stop,
        ),
        environment=variables(gateway, secrets, count),
        files={
            "config.yaml": yaml.safe_dump(configuration(gateway), sort_keys=False),
            "names.json": json.dumps(served_names(gateway), indent=1) + "\n",
            "probe.json": json.dumps(expected(gateway, count), indent=1) + "\n",
            **_scripts(*scripts(gateway)),
            **running.files(gateway),
        },
        check=(f"{environment}/bin/python", "check_config.py"),
    )
    if gateway.image is None:
        return service
    files = {
        "container.sh": template(
            HERE / "templates" / "container.sh.j2",
            container=container.NAME,
            slice=container.SLICE,
            image=gateway.image.reference,
            user=USER,
            directory=service.directory,
            keys=KEYS,
            held=str(PurePosixPath(HELD).parent),
            state=str(PurePosixPath(COUNTS).parent) if checks_windows(gateway) else "",
            variables=sorted(service.environment),
            stop=stop,
            program=PROGRAM if gateway.database else "",
            arguments=shell_lines(arguments(gateway, count), indent=12),
        ),
        "image.json": json.dumps(container.expected(gateway), indent=1) + "\n",
        **_scripts("check_image.py", *([PROGRAM] if gateway.database else [])),
    }
    if gateway.database:
        files[PLACE] = tables.place(url(gateway.database, secrets)) + "\n"
    return replace(
        service,
        files={**service.files, **files},
        check=("sh", "container.sh", "check"),
        check_user="root",
    )


def _scripts(*names: str) -> dict[str, str]:
    return {name: (HERE / "files" / name).read_text("utf-8") for name in names}


def expected(gateway: LitellmPlan, count: int) -> dict[str, Any]:
    """Return probe.json: what probe.py checks before the gateway serves."""
    return {
        "url": http(probed(gateway.listen), gateway.port),
        "user": USER,
        "workers": count,
        "names": sorted({*(route.model for route in gateway.routes), *gateway.aliases}),
        "turns": list(gateway.probe),
        "patience": TURNS,
    }


def served_names(gateway: LitellmPlan) -> dict[str, Any]:
    """Return names.json: what mirrorfleet_names.py compares requested models with."""
    names = {**{route.model: route.model for route in gateway.routes}, **gateway.aliases}
    able = {route.model for route in gateway.routes if route.web_search}
    return {
        "served": sorted(names),
        "without_web_search": sorted(name for name, to in names.items() if to not in able),
        "tiers": dict(gateway.tiers),
        "groups": {group: dict(tiers) for group, tiers in gateway.group_tiers.items()},
    }


def workers(gateway: LitellmPlan, observed: Observation) -> int:
    """Return the number of workers: the configured one, or by the host's cores and memory.

    The latter is at least two: with one worker, recycling it would stop the gateway.
    """
    if gateway.workers != "auto":
        return gateway.workers
    return max(2, min(observed.machine.cores, observed.machine.memory // 2 // WORKER_MEMORY))


def probed(listen: str) -> str:
    """Return the address of a gateway on its own host."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen, listen)


def arguments(gateway: LitellmPlan, count: int) -> list[str]:
    """Return LiteLLM's command line."""
    found = [
        f"--config={ROOT}/{NAME}/current/config.yaml",
        f"--host={gateway.listen}",
        f"--port={gateway.port}",
        f"--num_workers={count}",
        f"--timeout_worker_healthcheck={PATIENCE}",
    ]
    if gateway.max_requests_before_restart:
        found.append(f"--max_requests_before_restart={gateway.max_requests_before_restart}")
        found.append(f"--max_requests_before_restart_jitter={gateway.jitter}")
    if gateway.limits.limit_concurrency:
        found.append(f"--limit_concurrency={gateway.limits.limit_concurrency}")
    if gateway.keepalive_timeout:
        found.append(f"--keepalive_timeout={gateway.keepalive_timeout}")
    if gateway.metrics_port:
        found.append(f"--prometheus_metrics_port={gateway.metrics_port}")
    return found


def hooks(gateway: LitellmPlan, workers: int) -> str:
    """Return the functions that LiteLLM calls in every worker at its start."""
    modules = ["mirrorfleet_readiness", "mirrorfleet_requests", "mirrorfleet_routes"]
    if workers > 1:
        modules.append("mirrorfleet_workers")
    if gateway.max_requests_before_restart:
        modules.append("mirrorfleet_worker_recycling")
    if mends_requests(gateway):
        modules.append("mirrorfleet_mends")
    if checks_windows(gateway):
        modules.append("mirrorfleet_ollama")  # checks a prompt as it was mended
    if translates_thinking(gateway):
        modules.append("mirrorfleet_thinking")
    if gateway.database:
        modules.append("mirrorfleet_database")
    return ",".join(f"{module}:install" for module in modules)


def variables(gateway: LitellmPlan, secrets: Mapping[Secret, str], workers: int) -> dict[str, str]:
    """Return the environment of the process."""
    found = {
        "LITELLM_MASTER_KEY": secrets[gateway.master_key],
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": gateway.logging.level,
        # LiteLLM downloads no prices and no header lists at its start.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
        # The process ends after its current turns.
        "GRACEFUL_SHUTDOWN_TIMEOUT": str(gateway.stop_timeout),
        "NO_DOCS": "True",
        "NO_REDOC": "True",
        "NO_OPENAPI": "True",
        "DISABLE_ADMIN_UI": "True",
        "MIRRORFLEET_KEYS": KEYS,
        "LITELLM_WORKER_STARTUP_HOOKS": hooks(gateway, workers),
        "MIRRORFLEET_HELD": HELD,
        "PYTHONPATH": f"{ROOT}/{NAME}/current",
    }
    if checks_windows(gateway):
        found["MIRRORFLEET_COUNTS"] = COUNTS
    if not gateway.image:
        # An image has its own home directory, which may hold files.
        found["HOME"] = f"{STATE}/{NAME}"
    if gateway.database:
        found["DATABASE_URL"] = url(gateway.database, secrets)
        found["LITELLM_SALT_KEY"] = secrets[gateway.database.salt_key]
        # The migrations role updates the tables, once and before any gateway changes.
        found["DISABLE_SCHEMA_UPDATE"] = "true"
        # check_config.py compares this with the comment of the tables.
        lock = locks.text(gateway.lock)
        found["MIRRORFLEET_TABLES"] = tables.comment(lock, found["LITELLM_SALT_KEY"])
    if gateway.passthrough:
        found["ANTHROPIC_API_BASE"] = gateway.passthrough.url
        found["ANTHROPIC_API_KEY"] = secrets[gateway.passthrough.api_key]
    names = variables_of(gateway.routes)
    for route in gateway.routes:
        for name, secret in route.secrets.items():
            found[names[route.model, name]] = secrets[secret]
        if route.bearer:
            found[names[route.model, "bearer"]] = f"Bearer {secrets[route.secrets['api_key']]}"
    for secret, name in references(gateway).items():
        found[name] = secrets[secret]
    for name, value in gateway.environment.items():
        found[name] = secrets[value] if isinstance(value, Secret) else value
    return found


def url(database: DatabasePlan, secrets: Mapping[Secret, str]) -> str:
    """Return the URL of LiteLLM's database with its password: configured, or Mirrorfleet's own."""
    if database.url:
        return secrets[database.url]
    if database.password is None:
        raise ValueError("a database without a url needs a password: gateway.database.password")
    at, password = urlsplit(http(database.host, database.port)).netloc, secrets[database.password]
    return f"postgresql://{tables.role(password)}:{quote(password, safe='')}@{at}/litellm"
