"""The role's probe of a gateway, with the real LiteLLM."""

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
    with upstream.changed(is_down=False):
        yield serve("smallest")
    (serve("smallest").directory / "held").unlink(missing_ok=True)


def probe(gateway: Gateway, job: str, *more: str, **expected: object) -> tuple[int, str]:
    """Run the probe as on a host, with changes to probe.json; return status and output."""
    path = gateway.directory / "probe.json"
    content = json.loads(path.read_text())
    changes = {"url": gateway.url, "workers": 1, "patience": 0, "user": ME} | expected
    path.write_text(json.dumps(content | changes))
    done = subprocess.run(
        [sys.executable, "-I", "probe.py", job, *more],
        cwd=gateway.directory,
        env={**os.environ, "LITELLM_MASTER_KEY": gateway.master},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    path.write_text(json.dumps(content))
    return done.returncode, done.stdout + done.stderr


def test_a_serving_gateway_passes(gateway: Gateway) -> None:
    assert probe(gateway, "prove") == (0, "")


def test_too_few_workers_fail(gateway: Gateway) -> None:
    code, output = probe(gateway, "prove", workers=2)
    assert code == 1
    assert "has 1 workers that answer, of 2" in output


def test_an_unlisted_name_fails(gateway: Gateway) -> None:
    code, output = probe(gateway, "prove", names=["coder", "opuss"])
    assert (code, output) == (1, "the gateway does not list the models opuss\n")


def test_an_engine_that_was_down_before_is_a_warning(gateway: Gateway, upstream: Upstream) -> None:
    upstream.is_down = True
    before = gateway.directory / "before"
    before.write_text(probe(gateway, "ask")[1])
    code, output = probe(gateway, "prove", str(before))
    assert code == 0
    assert "warning: a turn of 'coder' fails" in output
    assert "it failed before as well" in output
    # Without outcomes to compare, the engine is at fault.
    assert probe(gateway, "prove")[0] == 0


def test_a_turn_that_succeeded_before_must_succeed_now(
    gateway: Gateway, upstream: Upstream
) -> None:
    before = gateway.directory / "before"
    before.write_text(probe(gateway, "ask")[1])
    upstream.is_down = True
    code, output = probe(gateway, "prove", str(before))
    assert code == NEVER
    assert "a turn of 'coder' fails" in output
    assert "but succeeded before the change" in output


def test_a_failed_turn_is_repeated(gateway: Gateway, upstream: Upstream) -> None:
    before = gateway.directory / "before"
    before.write_text(probe(gateway, "ask")[1])
    upstream.is_down = True
    Timer(1, lambda: setattr(upstream, "is_down", False)).start()
    assert probe(gateway, "prove", str(before), patience=30) == (0, "")


def test_a_turn_that_the_gateway_refuses_fails(gateway: Gateway) -> None:
    code, output = probe(gateway, "prove", turns=["unknown"])
    assert code == NEVER
    assert "a turn of 'unknown' fails: 400" in output


def test_a_draining_gateway_is_not_ready_and_serves(gateway: Gateway) -> None:
    draining = gateway.directory / "held"
    draining.touch()
    os.utime(draining, (time.time() + 60,) * 2)
    assert (gateway.ask("/health/readiness").code, gateway.message("coder").code) == (503, 200)
    assert gateway.ask("/health/liveliness").code == 200
    assert probe(gateway, "prove")[0] == 0
    # Draining ends by itself.
    os.utime(draining, (time.time() - 1,) * 2)
    assert gateway.ask("/health/readiness").code == 200
