"""Python modules of the user's own, loaded by the real LiteLLM."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.litellm.conftest import GOOD, Serve
from tests.litellm.gateway import Gateway, check, planned
from tests.litellm.upstream import Upstream


@pytest.fixture(name="gateway")
def running(serve: Serve) -> Gateway:
    return serve("own-modules")


def test_a_callback_changes_a_request(gateway: Gateway, upstream: Upstream) -> None:
    assert gateway.message("claude").code == 200
    [asked] = upstream.taken()
    assert asked.body["system"] == "Answer as the house does."


def test_a_guardrail_refuses_a_prompt(gateway: Gateway, upstream: Upstream) -> None:
    answer = gateway.message("claude", "my password is x")
    assert answer.code >= 400
    assert "a password stays in the house" in str(answer.body)
    assert upstream.taken() == []


def test_a_provider_of_its_own_answers(gateway: Gateway, upstream: Upstream) -> None:
    answer = gateway.message("echo")
    assert (answer.code, answer.body and answer.text) == (200, "pong")
    assert upstream.taken() == []


def test_the_check_accepts_them(upstream: Upstream, tmp_path: Path) -> None:
    assert check(planned(GOOD / "own-modules.yml"), upstream, tmp_path) == ""


def test_a_module_that_cannot_be_imported_fails_the_check(
    upstream: Upstream, tmp_path: Path
) -> None:
    fleet = (GOOD / "own-modules.yml").read_text("utf-8")
    hooks = (GOOD / "hooks/our_hooks.py").read_text("utf-8")
    (tmp_path / "hooks").mkdir()
    broken = hooks.replace("\nfrom typing", "\nimport no_such_package\nfrom typing", 1)
    (tmp_path / "hooks/our_hooks.py").write_text(broken)
    (tmp_path / "fleet.yml").write_text(fleet)
    complaints = check(planned(tmp_path / "fleet.yml"), upstream, tmp_path)
    assert "no_such_package" in complaints
