"""Pure: from the plan of a gateway to LiteLLM's configuration, keys, environment and unit."""

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
"""Beside the generations, and in none of them: who may come in changes without a restart."""

HERE = Path(__file__).parent

SCRIPTS = (
    "mirrorfleet_auth.py",
    "mirrorfleet_gate.py",
    "mirrorfleet_requests.py",
    "mirrorfleet_routes.py",
    "mirrorfleet_succession.py",
    "mirrorfleet_workers.py",
    "check.py",
    "probe.py",
)

OLLAMA_SCRIPTS = (
    "mirrorfleet_counts.py",
    "mirrorfleet_ollama.py",
    "mirrorfleet_prompt.py",
    "mirrorfleet_question.py",
    "mirrorfleet_turn.py",
)
"""What a gateway has besides, if engines behind it cut prompts."""

PROGRAM = "mirrorfleet_database.py"
"""What LiteLLM with a database is started by, in an image."""

PLACE = "database"
"""Which database it is: another one is not gone over to without a word."""

HELD = "/run/mirrorfleet/litellm.held"
"""While this file says so, the gateway keeps load balancers away: mirrorfleet_gate.py."""

COUNTS = f"{STATE}/{NAME}/counts-1"
"""What all workers know of the lengths of prompts; another layout is another file."""

WORKER_MEMORY = 420 * 1024**2
"""Bytes that a worker was measured to take under load; half of the memory is for workers."""

START = 300
"""Seconds from start to the end of all probes; 6 to 16 were measured until it is ready."""

TURNS = 30
"""Seconds in which the turns of the probe must come through, once all workers answer."""

STOP = 30
"""Seconds that a process has beyond those of its turns, before it is killed."""

PATIENCE = 60
"""Seconds in which a worker must give a sign of life to uvicorn.

Its own 5 are less than a worker needs to load LiteLLM on a busy host: it is killed and started
anew for ever. A worker that serves but was held up for so long loses its streams.
"""


def installed(gateway: LitellmPlan, observed: Observation) -> Installed:
    """Return what holds for every generation, in a container or not."""
    hooks = shell(HERE / "files" / "hooks.sh") + running.hooks(gateway)
    return Installed(
        name=NAME,
        user=USER,
        port=gateway.port,
        software=ENVIRONMENTS,
        hooks=hooks + (container.HOOKS if container.was_here(gateway.image, observed) else ""),
        seconds=START,
        held=HELD,
    )


def service(
    gateway: LitellmPlan, environment: str, secrets: Mapping[Secret, str], observed: Observation
) -> Service:
    """Return the gateway's service.

    ``environment`` is the directory of its Python environment; a gateway with an image has none.
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
            "probe.json": json.dumps(expected(gateway, count), indent=1) + "\n",
            **_scripts(*SCRIPTS, *(OLLAMA_SCRIPTS if _cuts(gateway) else ())),
            **running.files(gateway),
        },
        check=(f"{environment}/bin/python", "check.py"),
    )
    if gateway.image is None:
        return service
    said = {
        "container.sh": template(
            HERE / "templates" / "container.sh.j2",
            container=container.NAME,
            slice=container.SLICE,
            image=gateway.image.reference,
            user=USER,
            directory=service.directory,
            keys=KEYS,
            held=str(PurePosixPath(HELD).parent),
            state=str(PurePosixPath(COUNTS).parent) if _cuts(gateway) else "",
            variables=sorted(service.environment),
            stop=stop,
            program=PROGRAM if gateway.database else "",
            arguments=shell_lines(arguments(gateway, count), indent=12),
        ),
        "image.json": json.dumps(container.wanted(gateway), indent=1) + "\n",
        **_scripts("contents.py", *([PROGRAM] if gateway.database else [])),
    }
    if gateway.database:
        said[PLACE] = tables.place(url(gateway.database, secrets)) + "\n"
    return replace(
        service,
        files={**service.files, **said},
        check=("sh", "container.sh", "check"),
        check_user="root",
    )


def _scripts(*names: str) -> dict[str, str]:
    return {name: (HERE / "files" / name).read_text("utf-8") for name in names}


def expected(gateway: LitellmPlan, count: int) -> dict[str, Any]:
    """Return probe.json: what the gateway must do before it takes turns."""
    return {
        "url": http(probed(gateway.listen), gateway.port),
        "user": USER,
        "workers": count,
        "names": sorted({*(route.model for route in gateway.routes), *gateway.aliases}),
        "turns": list(gateway.probe),
        "patience": TURNS,
    }


def workers(gateway: LitellmPlan, observed: Observation) -> int:
    """Return the number of workers: as said, or by the host's cores and memory, two at least.

    With one worker, recycling it would stop the gateway.
    """
    if gateway.workers != "auto":
        return gateway.workers
    return max(2, min(observed.machine.cores, observed.machine.memory // 2 // WORKER_MEMORY))


def probed(listen: str) -> str:
    """Return where a gateway is reached on its own host."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen, listen)


def arguments(gateway: LitellmPlan, count: int) -> list[str]:
    """Return LiteLLM's command line."""
    said = [
        f"--config={ROOT}/{NAME}/current/config.yaml",
        f"--host={gateway.listen}",
        f"--port={gateway.port}",
        f"--num_workers={count}",
        f"--timeout_worker_healthcheck={PATIENCE}",
    ]
    if gateway.max_requests_before_restart:
        said.append(f"--max_requests_before_restart={gateway.max_requests_before_restart}")
        said.append(f"--max_requests_before_restart_jitter={gateway.jitter}")
    if gateway.limits.limit_concurrency:
        said.append(f"--limit_concurrency={gateway.limits.limit_concurrency}")
    if gateway.keepalive_timeout:
        said.append(f"--keepalive_timeout={gateway.keepalive_timeout}")
    if gateway.metrics_port:
        said.append(f"--prometheus_metrics_port={gateway.metrics_port}")
    return said


def hooks(gateway: LitellmPlan, workers: int) -> str:
    """Return what LiteLLM calls in every worker when it starts."""
    modules = ["mirrorfleet_gate", "mirrorfleet_requests", "mirrorfleet_routes"]
    if workers > 1:
        modules.append("mirrorfleet_workers")
    if gateway.max_requests_before_restart:
        modules.append("mirrorfleet_succession")
    if _cuts(gateway):
        modules.append("mirrorfleet_ollama")
    if gateway.database:
        modules.append("mirrorfleet_database")
    return ",".join(f"{module}:install" for module in modules)


def _cuts(gateway: LitellmPlan) -> bool:
    """Does the gateway serve models whose engine cuts prompts?"""
    return any(route.checked_weights for route in gateway.routes)


def variables(gateway: LitellmPlan, secrets: Mapping[Secret, str], workers: int) -> dict[str, str]:
    """Return the environment of the process."""
    said = {
        "LITELLM_MASTER_KEY": secrets[gateway.master_key],
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": gateway.logging.level,
        # Neither prices nor header lists are fetched from the internet at start.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
        # A turn in progress is finished before the process goes.
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
    if _cuts(gateway):
        said["MIRRORFLEET_COUNTS"] = COUNTS
    if not gateway.image:
        # An image has a home of its own, and may keep something there.
        said["HOME"] = f"{STATE}/{NAME}"
    if gateway.database:
        said["DATABASE_URL"] = url(gateway.database, secrets)
        said["LITELLM_SALT_KEY"] = secrets[gateway.database.salt_key]
        # The tables are made before a gateway changes, and once.
        said["DISABLE_SCHEMA_UPDATE"] = "true"
        # What must stand at them before a generation is accepted: check.py.
        lock = locks.text(gateway.lock)
        said["MIRRORFLEET_TABLES"] = tables.comment(lock, said["LITELLM_SALT_KEY"])
    if gateway.passthrough:
        said["ANTHROPIC_API_BASE"] = gateway.passthrough.url
        said["ANTHROPIC_API_KEY"] = secrets[gateway.passthrough.api_key]
    names = variables_of(gateway.routes)
    for route in gateway.routes:
        for name, secret in route.secrets.items():
            said[names[route.model, name]] = secrets[secret]
        if route.bearer:
            said[names[route.model, "bearer"]] = f"Bearer {secrets[route.secrets['api_key']]}"
    for secret, name in references(gateway).items():
        said[name] = secrets[secret]
    for name, value in gateway.environment.items():
        said[name] = secrets[value] if isinstance(value, Secret) else value
    return said


def url(database: DatabasePlan, secrets: Mapping[Secret, str]) -> str:
    """Return where LiteLLM finds its database: as it is said, or in ours, with its password."""
    if database.url:
        return secrets[database.url]
    if database.password is None:
        raise ValueError("a database without a url needs a password: gateway.database.password")
    at, password = urlsplit(http(database.host, database.port)).netloc, secrets[database.password]
    return f"postgresql://{tables.role(password)}:{quote(password, safe='')}@{at}/litellm"
