"""The configuration of gateways: config.yaml, command line and environment of every good fleet."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from mirrorfleet import fleet
from mirrorfleet.config.reader import Secret
from mirrorfleet.planning import LitellmPlan
from mirrorfleet.roles.litellm import environment, keys, references, render
from mirrorfleet.roles.litellm.configuration import configuration
from mirrorfleet.runtime.secrets import references_only
from tests.roles.test_golden import GOLDEN, UPDATE, compare, read
from tests.roles.test_golden import replace as write

ROOT = Path(__file__).parents[2]
GOOD = sorted((ROOT / "tests/fleet/good").glob("*.yml"))
SCHEMA = json.loads((ROOT / "tests/roles/litellm-config.schema.json").read_text("utf-8"))


def gateways(path: Path) -> Iterator[LitellmPlan]:
    hosts = fleet.plan(fleet.load(path)).hosts.values()
    return (host.gateway for host in hosts if host.gateway)


def everything() -> LitellmPlan:
    """Return the plan of a gateway with every option."""
    return next(gateways(ROOT / "tests/fleet/good/gateway-options.yml"))


def values(plan: LitellmPlan) -> dict[Secret, str]:
    return {secret: f"value-of-{secret.value}" for secret in references.secrets(plan)}


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_config_yaml_fits_the_strict_schema(path: Path) -> None:
    for plan in gateways(path):
        routes = tuple(replace(route, parameters={}, information={}) for route in plan.routes)
        Draft202012Validator(SCHEMA).validate(configuration(replace(plan, extra={}, routes=routes)))


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_config_yaml_holds_no_secret_and_every_variable_is_set(path: Path) -> None:
    for plan in gateways(path):
        secrets = values(plan)
        text = yaml.safe_dump(configuration(plan))
        assert not [value for value in secrets.values() if value in text]
        named = {word[11:] for word in text.split() if word.startswith("os.environ/")}
        assert named <= environment.variables(plan, secrets, 2).keys()


def test_a_gateway_with_everything() -> None:
    plan = everything()
    variables = environment.variables(plan, values(plan), 2)
    rendered = {
        "config.yaml": yaml.safe_dump(configuration(plan), sort_keys=False),
        "arguments": "".join(f"{argument}\n" for argument in render.arguments(plan, count=1)),
        "environment": "".join(f"{name}={variables[name]}\n" for name in sorted(variables)),
    }
    directory = GOLDEN / "gateway-options"
    if os.environ.get(UPDATE):
        write(directory, rendered)
    assert not compare(read(directory), rendered)


def test_secrets_with_similar_places_have_different_variables() -> None:
    one, two = (Secret("env", name, Path("/")) for name in ("ONE", "TWO"))
    plan = replace(everything(), guardrails=(), extra={"models": {"a-b": {"x": one, "X": two}}})
    assert references.references(plan) == {
        one: "MIRRORFLEET_MODELS_A_B_X",
        two: "MIRRORFLEET_MODELS_A_B_X_2",
    }


def test_models_that_differ_in_punctuation_have_different_keys() -> None:
    plan = next(gateways(ROOT / "tests/fleet/good/moved-in.yml"))
    one, other = (route for route in plan.routes if route.model in ("gpt-5.4", "gpt-5-4"))
    deployed = {entry["model_name"]: entry for entry in configuration(plan)["model_list"]}
    variables = environment.variables(plan, values(plan), 2)
    for route in (one, other):
        name = deployed[route.model]["litellm_params"]["api_key"].removeprefix("os.environ/")
        assert variables[name] == f"value-of-{route.secrets['api_key'].value}"


@pytest.mark.parametrize(
    ("listen", "probe"),
    [("0.0.0.0", "http://127.0.0.1:"), ("::", "http://[::1]:"), ("fd00::1", "http://[fd00::1]:")],
)
def test_a_gateway_is_probed_at_its_own_address(listen: str, probe: str) -> None:
    plan = replace(everything(), listen=listen)
    assert render.expected(plan, count=2)["url"].startswith(probe)


def test_keys_give_access_to_a_configured_passthrough_only() -> None:
    plan = next(gateways(ROOT / "tests/fleet/good/research-anthropic.yml"))
    with references_only():
        assert json.loads(keys.desired(everything()))["routes"] == []
        opened = json.loads(keys.desired(plan))["routes"]
    assert opened == ["/anthropic/v1/messages", "/anthropic/v1/messages/count_tokens"]
