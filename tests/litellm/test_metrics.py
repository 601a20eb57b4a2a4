"""Metrics of two workers together, and the restart of a worker."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import yaml

from mirrorfleet import monitoring
from mirrorfleet.config.limits import Limits
from mirrorfleet.planning.tls_servers import TlsServer
from tests.lab.certificates import sign
from tests.litellm.conftest import GOOD
from tests.litellm.gateway import Gateway, message, planned, serving
from tests.litellm.upstream import SLOW, Upstream
from tests.roles.tls_server import tls_server

PATIENCE = 300
"""Maximum seconds; on an idle machine, the replacement of a worker takes ten."""

TARGET = {"fleet", "host", "le"}
"""Labels that Prometheus adds, or that buckets have."""


@dataclass(frozen=True)
class Sample:
    name: str
    labels: dict[str, str]
    value: float


@pytest.fixture(scope="module", name="gateway")
def measured(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    directory = tmp_path_factory.mktemp("metrics")
    signed = sign("localhost", IPv4Address("127.0.0.1"))
    with tls_server(signed, tmp_path_factory.mktemp("tls")) as (port, _):
        plan = replace(
            planned(GOOD / "research-anthropic.yml"),
            metrics=True,
            limits=Limits(1, 0, None, {}),
            tls_servers=(TlsServer("lb", "127.0.0.1", port, "localhost"),),
        )
        # A worker that is killed before its reply is replaced after uvicorn's patience.
        with serving(plan, upstream, directory, workers=2, patience=20) as gateway:
            waited(gateway, lambda found: len(workers(found)) == 2)  # one is enough to be ready
            yield gateway


def scraped(gateway: Gateway) -> list[Sample]:
    text = gateway.ask("/metrics/", key=gateway.master).body
    lines = re.findall(r"^([a-z_:]+)(?:\{(.*)\})? (\S+)$", text, re.M)
    return [
        Sample(name, dict(re.findall(r'(\w+)="(.*?)"', labels)), float(value))
        for name, labels, value in lines
    ]


def waited(gateway: Gateway, expected: Callable[[list[Sample]], bool]) -> list[Sample]:
    """Return the metrics once they are as expected: LiteLLM updates them after its answer."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if expected(samples := scraped(gateway)):
            return samples
        time.sleep(0.3)
    names = sorted({sample.name for sample in samples})
    raise AssertionError(f"the metrics are not as expected: {names}")


def workers(samples: list[Sample]) -> set[int]:
    """Return the process IDs of all workers, also of former ones."""
    return {int(sample.labels["pid"]) for sample in samples if sample.name == "litellm_total_users"}


def answered(samples: list[Sample]) -> float:
    """Return the number of answered messages of all workers."""
    return sum(
        sample.value
        for sample in samples
        if sample.name == "litellm_proxy_total_requests_metric_total"
        and sample.labels["status_code"] == "200"
    )


def test_the_end_of_a_certificate_is_a_metric(gateway: Gateway) -> None:
    end = "mirrorfleet_certificate_not_after_timestamp_seconds"
    samples = waited(gateway, lambda found: any(each.name == end for each in found))
    [sample] = [each for each in samples if each.name == end]
    assert sample.labels == {"server": "lb"}
    assert 364 * 86_400 < sample.value - time.time() < 366 * 86_400
    assert [each.value for each in samples if each.name == "mirrorfleet_certificate_read"] == [1]


def expressions() -> list[str]:
    """Return every expression of the alerts and the dashboard."""
    rules = yaml.safe_load((monitoring.HERE / "rules.yml").read_text("utf-8"))
    rows = yaml.safe_load((monitoring.HERE / "dashboard.yml").read_text("utf-8"))
    return [
        *(rule["expr"] for group in rules["groups"] for rule in group["rules"]),
        *(panel["expr"] for row in rows for panel in row["panels"]),
    ]


def test_metrics_of_alerts_and_dashboard_exist(gateway: Gateway, upstream: Upstream) -> None:
    with upstream.changed(patience=2), ThreadPoolExecutor() as pool:
        codes = list(pool.map(lambda _: gateway.message("sonnet", SLOW).code, range(4)))
    assert {200, 503} <= set(codes), "each worker takes one"
    for _ in range(6):
        assert gateway.message("sonnet").code == 200
    assert gateway.ask("/v1/messages", message("sonnet", stream=True)).code == 200
    assert gateway.ask("/v1/messages", message("sonnet"), key="sk-wrong").code == 401
    assert gateway.message("no-such-model").code == 400
    expected = codes.count(200) + 7
    samples = waited(gateway, lambda found: answered(found) == expected)
    assert len(workers(samples)) == 2

    labels: dict[str, set[str]] = {}
    for sample in samples:
        labels.setdefault(sample.name, set()).update(sample.labels)
    for expression in expressions():
        by = set(re.findall(r"\w+", " ".join(re.findall(r"by \((.*?)\)", expression))))
        rest = re.sub(r"by \(.*?\)", "", expression)
        # Mended requests are counted by other gateways: see test_mends.py.
        rest = rest.replace("mirrorfleet_requests_mended_total", "")
        metrics = re.findall(
            r"\b((?:litellm|mirrorfleet_(?:requests|certificate))_\w+)(\{.*?\})?", rest
        )
        for name, chosen in metrics:
            assert name in labels, expression
            assert by | set(re.findall(r"(\w+)=", chosen)) <= labels[name] | TARGET, expression


def test_a_stalled_worker_is_kept_and_a_killed_one_is_replaced(
    gateway: Gateway,
) -> None:
    before = scraped(gateway)
    stalled, killed = sorted(workers(before))
    os.kill(stalled, signal.SIGSTOP)
    time.sleep(7)  # uvicorn's default limit is five seconds
    os.kill(stalled, signal.SIGCONT)
    os.kill(killed, signal.SIGKILL)
    after = waited(gateway, lambda found: len(workers(found)) == 3)
    assert Path(f"/proc/{stalled}").exists()
    assert answered(after) == answered(before), "the counts of a former worker stay"
    [replacement] = workers(after) - {stalled, killed}
    assert Path(f"/proc/{replacement}").exists()
