"""Whether a gateway proves itself before it takes turns: the role's probe, on the real LiteLLM."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import time
from collections.abc import Iterator
from threading import Timer

import pytest

from mirrorfleet.runtime.service import NEVER
from tests.litellm.conftest import Serve
from tests.litellm.gateway import Gateway
from tests.litellm.upstream import Upstream

ME = pwd.getpwuid(os.getuid()).pw_name
"""The user that runs the gateway under test."""


@pytest.fixture
def gateway(serve: Serve, upstream: Upstream) -> Iterator[Gateway]:
    yield serve("smallest")
    upstream.is_down = False
    (serve("smallest").directory / "held").unlink(missing_ok=True)


def probe(gateway: Gateway, job: str, *more: str, **expected: object) -> tuple[int, str]:
    """Run the probe as on a host; ``expected`` changes what it is to find."""
    path = gateway.directory / "probe.json"
    said = json.loads(path.read_text())
    told = {"url": gateway.url, "workers": 1, "patience": 0, "user": ME} | expected
    path.write_text(json.dumps(said | told))
    done = subprocess.run(
        [sys.executable, "-I", "probe.py", job, *more],
        cwd=gateway.directory,
        env={**os.environ, "LITELLM_MASTER_KEY": gateway.master},
        capture_output=True,
        text=True,
        check=False,
    )
    path.write_text(json.dumps(said))
    return done.returncode, done.stdout + done.stderr


def test_a_gateway_that_serves_proves_it(gateway: Gateway) -> None:
    assert probe(gateway, "prove") == (0, "")


def test_fewer_workers_than_wanted_are_not_enough(gateway: Gateway) -> None:
    code, said = probe(gateway, "prove", workers=2)
    assert code == 1
    assert "has 1 workers that answer, and should have 2" in said


def test_every_name_is_to_be_known(gateway: Gateway) -> None:
    code, said = probe(gateway, "prove", names=["coder", "opuss"])
    assert (code, said) == (1, "the gateway does not know the models opuss\n")


def test_an_engine_that_was_down_before_is_not_the_gateways_fault(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.is_down = True
    before = gateway.directory / "before"
    before.write_text(probe(gateway, "ask")[1])
    code, said = probe(gateway, "prove", str(before))
    assert code == 0
    assert "no answer to a turn of 'coder'" in said
    assert "nor did it before" in said
    # With nothing to compare, it is the engine that is doubted.
    assert probe(gateway, "prove")[0] == 0


def test_one_that_answered_before_must_answer_now(gateway: Gateway, upstream: Upstream) -> None:
    before = gateway.directory / "before"
    before.write_text(probe(gateway, "ask")[1])
    upstream.is_down = True
    code, said = probe(gateway, "prove", str(before))
    assert code == NEVER
    assert "gives no answer to a turn of 'coder'" in said
    assert "which it did before the change" in said


def test_an_engine_that_hiccups_is_asked_again(gateway: Gateway, upstream: Upstream) -> None:
    before = gateway.directory / "before"
    before.write_text(probe(gateway, "ask")[1])
    upstream.is_down = True
    Timer(1, lambda: setattr(upstream, "is_down", False)).start()
    assert probe(gateway, "prove", str(before), patience=30) == (0, "")


def test_what_the_gateway_itself_refuses_is_its_fault(gateway: Gateway) -> None:
    code, said = probe(gateway, "prove", turns=["nobody"])
    assert code == NEVER
    assert "gives no answer to a turn of 'nobody': 400" in said


def test_held_it_keeps_load_balancers_away_and_serves(gateway: Gateway) -> None:
    held = gateway.directory / "held"
    held.touch()
    os.utime(held, (time.time() + 60,) * 2)
    assert (gateway.ask("/health/readiness").code, gateway.message("coder").code) == (503, 200)
    assert gateway.ask("/health/liveliness").code == 200
    assert probe(gateway, "prove")[0] == 0
    # A hold that nobody ends, ends by itself.
    os.utime(held, (time.time() - 1,) * 2)
    assert gateway.ask("/health/readiness").code == 200
