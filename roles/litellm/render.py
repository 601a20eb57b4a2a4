"""Render the plan of a gateway as LiteLLM's configuration, environment and unit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from mirrorfleet.config import Secret
from mirrorfleet.config.wildcards import has_wildcard
from mirrorfleet.planning import LitellmPlan, http
from mirrorfleet.roles.litellm import container, running
from mirrorfleet.roles.litellm.canary_targets import canary_of
from mirrorfleet.roles.litellm.configuration import configuration
from mirrorfleet.roles.litellm.environment import url, variables
from mirrorfleet.roles.litellm.limits import limits_turns
from mirrorfleet.roles.litellm.paths import HELD, KEYS, NAME, PLACE, USER, ZONES
from mirrorfleet.roles.litellm.scripts import (
    checks_windows,
    scripts,
)
from mirrorfleet.roles.litellm.software import ENVIRONMENTS
from mirrorfleet.roles.proof import canary
from mirrorfleet.runtime import tables
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT, STATE
from mirrorfleet.runtime.service import Installed, Service
from mirrorfleet.runtime.shell import shell
from mirrorfleet.runtime.text import exec_start, shell_lines, template

HERE = Path(__file__).parent

PROGRAM = "mirrorfleet_database.py"
"""The program that starts LiteLLM with a database, in an image."""

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
    hooks += canary.hooks(canary_of(gateway))
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
            **_clients(gateway),
            **_scripts(*scripts(gateway)),
            **_usage(gateway),
            **_certificates(gateway),
            **running.files(gateway),
            **{
                f"{name}.py": module.path.read_text("utf-8")
                for name, module in gateway.modules.items()
            },
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
            state=f"{STATE}/{NAME}" if checks_windows(gateway) or gateway.usage else "",
            zones=ZONES if limits_turns(gateway) else "",
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


def _clients(gateway: LitellmPlan) -> dict[str, str]:
    """Return clients.json, which mirrorfleet_clients.py reads; none if keys open nothing more."""
    if not gateway.openai_groups and not gateway.mcp_servers:
        return {}
    mcp = {group: list(servers) for group, servers in gateway.mcp_groups.items()}
    content = {"openai": list(gateway.openai_groups), "mcp": mcp}
    return {"clients.json": json.dumps(content, indent=1) + "\n"}


def _usage(gateway: LitellmPlan) -> dict[str, str]:
    """Return usage.json, which mirrorfleet_usage.py reads, if turns are recorded."""
    return {"usage.json": json.dumps(asdict(gateway.usage)) + "\n"} if gateway.usage else {}


def _certificates(gateway: LitellmPlan) -> dict[str, str]:
    """Return certificates.json, which mirrorfleet_certificates.py reads, if there is a server."""
    if not gateway.tls_servers:
        return {}
    servers = [asdict(server) for server in gateway.tls_servers]
    return {"certificates.json": json.dumps(servers, indent=1) + "\n"}


def _scripts(*names: str) -> dict[str, str]:
    return {name: (HERE / "files" / name).read_text("utf-8") for name in names}


def expected(gateway: LitellmPlan, count: int) -> dict[str, Any]:
    """Return probe.json: what probe.py checks before the gateway serves."""
    return {
        "url": http(probed(gateway.listen), gateway.port),
        "user": USER,
        "workers": count,
        # LiteLLM lists the models that it knows in place of a wildcard.
        "names": sorted(
            name
            for name in {*(route.model for route in gateway.routes), *gateway.aliases}
            if not has_wildcard(name)
        ),
        "turns": list(gateway.probe),
        "patience": TURNS,
    }


def served_names(gateway: LitellmPlan) -> dict[str, Any]:
    """Return names.json: what mirrorfleet_names.py compares requested models with."""
    names = {**{route.model: route.model for route in gateway.routes}, **gateway.aliases}
    able = {route.model for route in gateway.routes if route.web_search}
    itself = {route.model for route in gateway.routes if route.web_search == "provider"}
    return {
        "served": sorted(names),
        "without_web_search": sorted(name for name, to in names.items() if to not in able),
        "searching": sorted(name for name, to in names.items() if to in itself),
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
