"""The way from a gateway's host to its search service."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mirrorfleet import fleet
from mirrorfleet.planning import LitellmPlan
from mirrorfleet.roles.litellm import web_search
from mirrorfleet.runtime.facts.network import Unreached
from tests.litellm.conftest import GOOD
from tests.roles.answers import MACHINE, observation_of, with_values

REACH = Unreached("searx.example.com 443")


@pytest.fixture(name="gateway")
def planned() -> LitellmPlan:
    gateway = fleet.plan(fleet.load(GOOD / "web-search.yml")).hosts["gw"].gateway
    assert gateway
    return gateway


def test_a_service_without_a_reply_is_a_warning(gateway: LitellmPlan) -> None:
    assert web_search.facts(gateway) == [REACH]
    observed = with_values(observation_of(MACHINE), {REACH: True})
    [problem] = web_search.problems(gateway, observed)
    assert "https://searx.example.com" in problem.mistake
    assert problem.severity == "warning"


def test_a_service_that_replies_is_none(gateway: LitellmPlan) -> None:
    observed = with_values(observation_of(MACHINE), {REACH: False})
    assert not list(web_search.problems(gateway, observed))


def test_a_gateway_behind_a_proxy_needs_no_way(gateway: LitellmPlan) -> None:
    proxied = replace(gateway, environment={"https_proxy": "http://proxy.example.com:3128"})
    assert web_search.facts(proxied) == []


def test_the_address_of_a_hosted_service_is_its_own(gateway: LitellmPlan) -> None:
    assert gateway.web_search
    brave = replace(gateway, web_search=replace(gateway.web_search, service="brave", url=None))
    assert web_search.facts(brave) == [Unreached("api.search.brave.com 443")]
