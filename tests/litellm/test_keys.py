"""Changes of keys while the real LiteLLM serves with several workers, without a restart."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from mirrorfleet.planning import KeyPlan
from tests.litellm.conftest import GOOD
from tests.litellm.gateway import Gateway, message, planned, serving, write_keys
from tests.litellm.upstream import SLOW, Upstream

PLAN = planned(GOOD / "keys.yml")
WORKERS, REQUESTS = 2, 30


@pytest.fixture(scope="module", name="gateway")
def running(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    directory = tmp_path_factory.mktemp("keys")
    with serving(PLAN, upstream, directory, workers=WORKERS) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def _as_planned(gateway: Gateway) -> None:
    write_keys(PLAN, gateway.secrets, gateway.directory)


def key(gateway: Gateway, name: str) -> str:
    return gateway.secrets[next(entry.key for entry in PLAN.keys if entry.name == name)]


def codes(gateway: Gateway, key: str, model: str = "sonnet") -> set[int]:
    """Send requests over enough connections to reach every worker; return the statuses."""

    def ask(_: int) -> int:
        return gateway.ask("/v1/messages", message(model), key=key).code

    with ThreadPoolExecutor(6) as pool:
        return set(pool.map(ask, range(REQUESTS)))


def change(gateway: Gateway, name: str, **fields: object) -> None:
    def changed(entry: KeyPlan) -> KeyPlan:
        return replace(entry, **fields) if entry.name == name else entry  # type: ignore[arg-type]

    plan = replace(PLAN, keys=tuple(map(changed, PLAN.keys)))
    write_keys(plan, gateway.secrets, gateway.directory)


def test_each_key_gives_access_to_its_models(gateway: Gateway) -> None:
    assert codes(gateway, key(gateway, "ada")) == {200}
    assert codes(gateway, key(gateway, "linus")) == {401}, "the fleet file revokes it"
    # An alias has the rights of its model: a key without `cloud` has no access to its alias opus.
    for model, code in (("coder", 200), ("sonnet", 200), ("cloud", 403), ("opus", 403)):
        assert codes(gateway, key(gateway, "eve"), model) == {code}, model


def test_a_revoked_key_is_refused_by_every_worker_at_once(gateway: Gateway) -> None:
    assert codes(gateway, key(gateway, "ada")) == {200}
    change(gateway, "ada", revoked=True)
    assert codes(gateway, key(gateway, "ada")) == {401}
    write_keys(PLAN, gateway.secrets, gateway.directory)
    assert codes(gateway, key(gateway, "ada")) == {200}


def test_an_expired_key_is_401_with_the_reason(gateway: Gateway) -> None:
    change(gateway, "ada", expires="2020-02-29")
    answer = gateway.ask("/v1/messages", message("sonnet"), key=key(gateway, "ada"))
    assert answer.code == 401
    assert "The API key of ada has expired" in json.dumps(answer.body)
    assert codes(gateway, key(gateway, "ada")) == {401}


def test_a_current_request_ends_normally_when_its_key_is_revoked(gateway: Gateway) -> None:
    answers: list[int] = []

    def ask() -> None:
        body = message("sonnet", SLOW)
        answers.append(gateway.ask("/v1/messages", body, key=key(gateway, "ada")).code)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    time.sleep(1)
    change(gateway, "ada", revoked=True)
    assert codes(gateway, key(gateway, "ada")) == {401}
    thread.join(60)
    assert answers == [200]


def test_a_broken_key_file_is_503(gateway: Gateway) -> None:
    (gateway.directory / "keys.json").write_text("{")
    assert codes(gateway, key(gateway, "ada")) == {503}


def test_logs_and_metrics_name_the_developer(upstream: Upstream, tmp_path: Path) -> None:
    plan = replace(PLAN, metrics=True, metrics_port=1)
    with serving(plan, upstream, tmp_path) as gateway:
        assert gateway.ask("/v1/messages", message("sonnet"), key=key(gateway, "ada")).code == 200
        end, text = time.monotonic() + 20, ""
        while time.monotonic() < end and 'api_key_alias="ada"' not in text:
            with urllib.request.urlopen(gateway.metrics, timeout=10) as response:
                text = response.read().decode()
            time.sleep(0.2)
    assert 'api_key_alias="ada"' in text
    assert 'team_alias="team"' in text
    assert 'user="ada"' in text
    assert key(gateway, "ada") not in text
