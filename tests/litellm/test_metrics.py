"""Two workers, as a real gateway has them: what they tell together, and that they live on."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from mirrorfleet import monitoring
from mirrorfleet.config.litellm import Limits
from tests.litellm.conftest import GOOD
from tests.litellm.gateway import Gateway, message, planned, serving
from tests.litellm.upstream import SLOW, Upstream

PATIENCE = 300
"""Seconds; a worker that takes another's place is there in ten, on an idle machine."""

TARGET = {"fleet", "host", "le"}
"""Labels that Prometheus gives, or that buckets have."""


@dataclass(frozen=True)
class Sample:
    name: str
    labels: dict[str, str]
    value: float


@pytest.fixture(scope="module", name="gateway")
def measured(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    plan = replace(
        planned(GOOD / "research-anthropic.yml"),
        metrics=True,
        limits=Limits(1, 0, None, {}),
    )
    with serving(plan, upstream, tmp_path_factory.mktemp("metrics"), workers=2) as gateway:
        yield gateway


def scraped(gateway: Gateway) -> list[Sample]:
    text = gateway.ask("/metrics/", key=gateway.master).body
    lines = re.findall(r"^([a-z_:]+)(?:\{(.*)\})? (\S+)$", text, re.M)
    return [
        Sample(name, dict(re.findall(r'(\w+)="(.*?)"', labels)), float(value))
        for name, labels, value in lines
    ]


def waited(gateway: Gateway, wanted: Callable[[list[Sample]], bool]) -> list[Sample]:
    """Return what is told once it is as wanted: LiteLLM counts some time after it has answered."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if wanted(samples := scraped(gateway)):
            return samples
        time.sleep(0.3)
    raise AssertionError(f"it never came; told are {sorted({each.name for each in samples})}")


def workers(samples: list[Sample]) -> set[int]:
    """Return the processes that have ever served: each tells for itself."""
    return {int(each.labels["pid"]) for each in samples if each.name == "litellm_total_users"}


def answered(samples: list[Sample]) -> float:
    """Return how many messages were answered, by all workers together."""
    return sum(
        each.value
        for each in samples
        if each.name == "litellm_proxy_total_requests_metric_total"
        and each.labels["status_code"] == "200"
    )


def expressions() -> list[str]:
    """Return every expression of the alerts and the dashboard."""
    rules = yaml.safe_load((monitoring.HERE / "rules.yml").read_text("utf-8"))
    rows = yaml.safe_load((monitoring.HERE / "dashboard.yml").read_text("utf-8"))
    return [
        *(rule["expr"] for group in rules["groups"] for rule in group["rules"]),
        *(panel["expr"] for row in rows for panel in row["panels"]),
    ]


def test_alerts_and_dashboard_ask_for_nothing_that_is_not_told(
    gateway: Gateway, upstream: Upstream
) -> None:
    before = upstream.patience
    upstream.patience = 2
    with ThreadPoolExecutor() as pool:
        codes = list(pool.map(lambda _: gateway.message("sonnet", SLOW).code, range(4)))
    upstream.patience = before
    assert {200, 503} <= set(codes), "each worker takes one"
    for _ in range(6):
        assert gateway.message("sonnet").code == 200
    assert gateway.ask("/v1/messages", message("sonnet", stream=True)).code == 200
    assert gateway.ask("/v1/messages", message("sonnet"), key="sk-wrong").code == 401
    assert gateway.message("no-such-model").code == 400
    expected = codes.count(200) + 7
    samples = waited(gateway, lambda told: answered(told) == expected)
    assert len(workers(samples)) == 2

    labels: dict[str, set[str]] = {}
    for each in samples:
        labels.setdefault(each.name, set()).update(each.labels)
    for expression in expressions():
        by = set(re.findall(r"\w+", " ".join(re.findall(r"by \((.*?)\)", expression))))
        asked = re.sub(r"by \(.*?\)", "", expression)
        told = re.findall(r"\b((?:litellm|mirrorfleet_requests)_\w+)(\{.*?\})?", asked)
        for name, chosen in told:
            assert name in labels, expression
            assert by | set(re.findall(r"(\w+)=", chosen)) <= labels[name] | TARGET, expression


def test_a_worker_that_is_held_up_lives_on_and_one_that_dies_is_counted_on(
    gateway: Gateway,
) -> None:
    before = scraped(gateway)
    held, killed = sorted(workers(before))
    os.kill(held, signal.SIGSTOP)
    time.sleep(7)  # uvicorn's own patience is five seconds
    os.kill(held, signal.SIGCONT)
    os.kill(killed, signal.SIGKILL)
    after = waited(gateway, lambda told: len(workers(told)) == 3)
    assert Path(f"/proc/{held}").exists()
    assert answered(after) == answered(before), "what a worker has counted stays when it is gone"
    [anew] = workers(after) - {held, killed}
    assert Path(f"/proc/{anew}").exists()
