"""What the canary recorded of the lab's engine and gateways, and how verify measures them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab import look


def recorded(host: str, service: str) -> dict[str, Any]:
    """Return the figures of the current generation of a service."""
    place = f"/opt/mirrorfleet/{service}"
    name = look.run(host, f"readlink {place}/current").strip().rpartition("/")[2]
    found: dict[str, Any] = json.loads(look.run(host, f"cat {place}/figures/{name}.json"))
    return found


@pytest.mark.parametrize(("host", "service"), [("gpu", "vllm-tiny"), ("gw-1", "litellm")])
def test_the_running_generation_has_figures(host: str, service: str) -> None:
    found = recorded(host, service)
    assert found["release"]
    tiny = found["models"]["tiny"]
    assert tiny["fault"] == ""
    # The real vLLM counts the hits; nothing else asks it during a switch in the lab.
    assert tiny["rate"] > 0.9
    assert 0 < tiny["second"] < tiny["first"]


def test_verify_measures_engines_and_gateways() -> None:
    inventory = str(look.FLEET.with_suffix(".py"))
    data = ("--data", "canary=ask", "--data", "report=-")
    done = look.pyinfra(inventory, "deploys/verify.py", *data)
    found = json.loads(done.stdout)["canary"]
    assert [(each["kind"], each["host"]) for each in found] == [
        ("vLLM", "gpu"),
        ("LiteLLM", "gw-1"),
        ("LiteLLM", "gw-2"),
    ]
    for each in found:
        assert each["faults"] == []
        assert each["models"]["tiny"]["figures"]["rate"] > 0.9
