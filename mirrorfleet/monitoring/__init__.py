"""Monitoring of a fleet: configuration and alerts for Prometheus, a dashboard for Grafana."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from mirrorfleet.engines.registry import ENGINES
from mirrorfleet.monitoring import running
from mirrorfleet.planning import EnginePlan, FleetPlan, http

HERE = Path(__file__).parent
ANYWHERE = {"0.0.0.0", "::"}
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
METRICS = "/metrics"
"""The path that Prometheus scrapes by default."""

WIDTH, HEIGHT = 12, 8
"""Size of a panel in Grafana's grid of 24 columns."""


def files(planned: FleetPlan) -> dict[str, str]:
    """Return the files for Prometheus and Grafana, by name."""
    return {
        "prometheus.yml": yaml.safe_dump(_configuration(planned), sort_keys=False),
        "mirrorfleet-rules.yml": rules(planned),
        "mirrorfleet-dashboard.json": json.dumps(_dashboard(planned), indent=1) + "\n",
    }


def rules(planned: FleetPlan) -> str:
    """Return the alerts: the general ones, then those of usage, budgets and engines."""
    general, *others = _parts("rules", planned)
    return "\n".join([general, *(text.partition("groups:\n")[2] for text in others)])


def _parts(kind: str, planned: FleetPlan) -> Iterator[str]:
    """Yield the general file of a kind (rules or dashboard), then those of what the fleet has."""
    yield (HERE / f"{kind}.yml").read_text("utf-8")
    gateways = [host.gateway for host in planned.hosts.values() if host.gateway]
    if any(gateway.usage for gateway in gateways):
        yield (HERE / f"usage_{kind}.yml").read_text("utf-8")
    if any(gateway.budgets for gateway in gateways):
        yield (HERE / f"budgets_{kind}.yml").read_text("utf-8")
    for engine in ENGINES:
        if (path := HERE / f"{engine}_{kind}.yml").is_file():
            yield path.read_text("utf-8")


def unmonitored(planned: FleetPlan) -> Iterator[str]:
    """Yield a sentence with the fix for each gateway that Prometheus cannot monitor."""
    for name, host in planned.hosts.items():
        gateway = host.gateway
        if gateway and gateway.metrics_port is None:
            yield f"{name}: has no metrics port. Write gateway.metrics: {{port: 9464}}."
        elif gateway and gateway.listen in LOOPBACK:
            yield f"{name}: serves metrics on {gateway.listen} only. Run Prometheus on {name}."
    yield from running.unmonitored(planned.fleet)


def _configuration(planned: FleetPlan) -> dict[str, Any]:
    gateways: list[dict[str, Any]] = []
    engines: list[dict[str, Any]] = []
    for name, host in planned.hosts.items():
        labels = {"fleet": planned.fleet.name, "host": name}
        if host.gateway and host.gateway.metrics_port:
            listen = host.gateway.listen
            address = planned.fleet.hosts[name].address if listen in ANYWHERE else listen
            gateways.append(_target(address, host.gateway.metrics_port, labels))
        for engine in host.engines:
            engines += _engine(engine, labels)
    engines += running.targets(planned.fleet)
    return {
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": ["mirrorfleet-rules.yml"],
        "scrape_configs": [
            # With the slash: without it, LiteLLM answers with a redirect.
            _job("gateway", gateways, metrics_path="/metrics/"),
            _job("engine", engines),
        ],
    }


def _engine(plan: EnginePlan, labels: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Yield a target for each model of an engine with metrics."""
    path = ENGINES[plan.engine].metrics_path
    if path and plan.is_head:
        path_label = {} if path == METRICS else {"__metrics_path__": path}
        for model in plan.windows:
            yield _target(plan.listen, plan.port, {**labels, "model": model, **path_label})


def _job(name: str, targets: list[dict[str, Any]], **options: str) -> dict[str, Any]:
    return {"job_name": f"mirrorfleet-{name}", **options, "static_configs": targets}


def _target(address: str, port: int, labels: dict[str, str]) -> dict[str, Any]:
    return {"targets": [http(address, port).removeprefix("http://")], "labels": labels}


def _dashboard(planned: FleetPlan) -> dict[str, Any]:
    rows = [row for text in _parts("dashboard", planned) for row in yaml.safe_load(text)]
    return {
        "uid": "mirrorfleet",
        "title": "Mirrorfleet",
        "tags": ["mirrorfleet"],
        "schemaVersion": 39,
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "30s",
        "templating": {
            "list": [
                {
                    "name": "source",
                    "label": "Prometheus",
                    "type": "datasource",
                    "query": "prometheus",
                },
                {
                    "name": "fleet",
                    "label": "Fleet",
                    "type": "query",
                    "datasource": _SOURCE,
                    "query": 'label_values(up{job=~"mirrorfleet-.*"}, fleet)',
                    "refresh": 2,
                },
            ]
        },
        "panels": list(_panels(rows)),
    }


_SOURCE = {"type": "prometheus", "uid": "${source}"}


def _panels(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    numbers, top = count(1), 0
    for row in rows:
        place = {"x": 0, "y": top, "w": 2 * WIDTH, "h": 1}
        yield {"id": next(numbers), "type": "row", "title": row["title"], "gridPos": place}
        top += 1
        for index, panel in enumerate(row["panels"]):
            place = {
                "x": index % 2 * WIDTH,
                "y": top + index // 2 * HEIGHT,
                "w": WIDTH,
                "h": HEIGHT,
            }
            target = {"refId": "A", "expr": panel["expr"], "legendFormat": panel["legend"]}
            yield {
                "id": next(numbers),
                "type": "timeseries",
                "title": panel["title"],
                "datasource": _SOURCE,
                "gridPos": place,
                "fieldConfig": {"defaults": {"unit": panel["unit"], "min": 0}, "overrides": []},
                "targets": [{**target, "datasource": _SOURCE}],
            }
        top += -(-len(row["panels"]) // 2) * HEIGHT
