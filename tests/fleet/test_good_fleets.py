"""Good fleets are accepted, and the values of engine, gateway and client agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirrorfleet import fleet
from mirrorfleet.planning import ClientPlan, FleetPlan, HostPlan, LitellmPlan
from mirrorfleet.planning.vllm import VllmPlan

GOOD = Path(__file__).parent / "good"
INVENTORIES = Path(__file__).parents[2] / "inventories"


def planned(name: str) -> FleetPlan:
    return fleet.plan(fleet.load(GOOD / f"{name}.yml"))


def gateway(plan: FleetPlan, host: str = "gw") -> LitellmPlan:
    found = plan.hosts[host].gateway
    assert found is not None
    return found


def models(host: HostPlan) -> list[str]:
    return [engine.model for engine in host.engines_of(VllmPlan)]


def client(plan: FleetPlan, user: str, host: str = "dev") -> ClientPlan:
    found = plan.hosts[host].clients
    assert found is not None
    [client] = [client for client in found.users if client.user == user]
    return client


@pytest.mark.parametrize(
    "path", [*sorted(GOOD.glob("*.yml")), *sorted(INVENTORIES.glob("*.yml"))], ids=lambda p: p.stem
)
def test_every_host_has_a_plan(path: Path) -> None:
    plan = fleet.plan(fleet.load(path))
    assert list(plan.hosts) == list(plan.fleet.hosts)


def test_the_url_of_a_single_gateway_is_derived() -> None:
    environment = client(planned("smallest"), "ada").settings["env"]
    assert environment["ANTHROPIC_BASE_URL"] == "http://10.0.0.2:4000"


def test_a_slash_at_the_end_of_the_url_is_removed() -> None:
    environment = client(planned("replicas"), "ada").settings["env"]
    assert environment["ANTHROPIC_BASE_URL"] == "https://llm.example.com"


def test_an_ipv6_address_is_in_brackets() -> None:
    plan = planned("one-machine")
    environment = client(plan, "me", "box").settings["env"]
    assert environment["ANTHROPIC_BASE_URL"] == "http://[fd00::1]:4000"
    bases = [route.settings["api_base"] for route in gateway(plan, "box").routes]
    assert bases == ["http://[fd00::1]:8000", "http://[fd00::1]:8001"]


def test_a_slash_at_the_end_of_a_providers_url_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text(
        f"include: {GOOD}/load-balancer.yml\nmodels: {{cloud: {{url: 'https://anthropic.example.com/eu/'}}}}\n"
    )
    plan = gateway(fleet.plan(fleet.load(path)), "gw-a")
    assert plan.passthrough
    assert plan.routes[0].settings["api_base"] == "https://anthropic.example.com/eu"
    assert plan.passthrough.url == "https://anthropic.example.com/eu"


def test_every_replica_has_a_route_to_the_address_of_its_engine() -> None:
    plan = planned("replicas")
    routes = [route for route in gateway(plan).routes if route.model == "coder"]
    engines = [engine for host in plan.hosts.values() for engine in host.engines_of(VllmPlan)]
    assert [route.settings["api_base"] for route in routes] == [
        f"http://{engine.listen}:{engine.port}" for engine in engines
    ]
    assert [engine.listen for engine in engines] == ["10.0.0.1", "gpu-b.example.com"]


def test_engine_and_gateway_have_the_same_key_and_model_name() -> None:
    plan = planned("replicas")
    [engine] = plan.hosts["gpu-a"].engines_of(VllmPlan)
    route = gateway(plan).routes[0]
    assert route.secrets == {"api_key": engine.api_key}
    assert route.upstream == f"anthropic/{engine.model}"


@pytest.mark.parametrize(("user", "model"), [("ada", "coder"), ("linus", "cloud")])
def test_window_and_output_of_the_client_are_those_of_the_model(user: str, model: str) -> None:
    plan = planned("replicas")
    settings = client(plan, user).settings
    [route] = {
        (route.context, route.output) for route in gateway(plan).routes if route.model == model
    }
    environment = settings["env"]
    assert settings["model"] == model
    window, answer = (
        int(environment[f"CLAUDE_CODE_MAX_{name}_TOKENS"]) for name in ("CONTEXT", "OUTPUT")
    )
    context, output = route
    assert answer == output
    # Claude Code compacts at its context window minus the answer (at most 20,000) minus 13,000. The
    # engine refuses a prompt without room for the whole answer.
    assert window - min(answer, 20_000) == context - output


def test_engine_and_client_have_the_same_window() -> None:
    plan = planned("smallest")
    [engine] = plan.hosts["gpu"].engines_of(VllmPlan)
    environment = client(plan, "ada").settings["env"]
    assert environment["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == str(engine.context)


def test_tiers_are_the_same_in_client_and_gateway() -> None:
    plan = planned("replicas")
    aliases = gateway(plan).aliases
    environment = client(plan, "ada").settings["env"]
    assert environment["ANTHROPIC_DEFAULT_OPUS_MODEL"] == aliases["opus"] == "cloud"
    assert environment["ANTHROPIC_DEFAULT_SONNET_MODEL"] == aliases["sonnet"] == "coder"
    own = client(plan, "ada").settings["model"]
    assert environment["ANTHROPIC_DEFAULT_HAIKU_MODEL"] == own, "the file has no haiku"


def test_a_tier_serves_the_ids_that_the_client_requests_by_itself() -> None:
    aliases = gateway(planned("replicas")).aliases
    assert aliases["claude-opus-5-5"] == aliases["opus"]
    assert "claude-haiku-5-5" not in aliases, "the file has no haiku"


def test_an_alias_of_the_file_wins_over_a_derived_one() -> None:
    assert gateway(planned("replicas")).aliases["claude-sonnet-5-5"] == "cloud"


def test_the_timeout_of_the_client_is_longer_than_that_of_the_gateway() -> None:
    for name in ("smallest", "replicas"):
        plan = planned(name)
        timeout = int(client(plan, "ada").settings["env"]["API_TIMEOUT_MS"]) / 1000
        assert timeout > gateway(plan).timeout


def test_the_stop_timeout_is_longer_with_several_gateways() -> None:
    assert gateway(planned("smallest")).stop_timeout == 600, "the only gateway"
    [several, _] = [
        host.gateway for host in planned("load-balancer").hosts.values() if host.gateway
    ]
    assert several.stop_timeout == 1800
    assert gateway(planned("crowded")).stop_timeout == gateway(planned("crowded")).timeout == 1200


def test_workers_recycle_at_different_times() -> None:
    recycling = gateway(planned("replicas"))
    assert recycling.max_requests_before_restart == 5000
    assert 0 < recycling.jitter < 5000
    assert gateway(planned("smallest")).jitter == 0


def test_gateway_and_users_have_the_same_keys() -> None:
    plan = planned("replicas")
    keys = {key.name: key.key for key in gateway(plan).keys}
    assert set(keys) == {"team", "leads"}
    for user, group in (("ada", "team"), ("grace", "team"), ("linus", "leads")):
        assert client(plan, user).key == keys[group]


def test_an_engine_listens_on_the_address_of_its_host_only() -> None:
    [engine] = planned("smallest").hosts["gpu"].engines_of(VllmPlan)
    assert engine.listen == "10.0.0.1"


def test_a_family_selects_the_parsers() -> None:
    coder, small = planned("one-machine").hosts["box"].engines_of(VllmPlan)
    assert (coder.tool_parser, coder.reasoning_parser) == ("hermes", "qwen3")
    assert (small.tool_parser, small.reasoning_parser) == ("hermes", None)


def test_qwen3_6_has_the_reasoning_parser_of_qwen3_and_the_tool_parser_of_qwen3_coder() -> None:
    [_, engine, *_] = planned("parsers").hosts["gpu"].engines_of(VllmPlan)
    assert (engine.model, engine.tool_parser, engine.reasoning_parser) == (
        "of-a-family",
        "qwen3_coder",
        "qwen3",
    )


def test_parsers_of_the_model_win_over_its_family() -> None:
    named, _, mixed, reasoning_only = planned("parsers").hosts["gpu"].engines_of(VllmPlan)
    assert (named.tool_parser, named.reasoning_parser) == ("qwen3_coder", "qwen3")
    assert (mixed.tool_parser, mixed.reasoning_parser) == ("qwen3_xml", "qwen3")
    assert (reasoning_only.tool_parser, reasoning_only.reasoning_parser) == (None, "deepseek_r1")


def test_own_keys_win_over_merged_ones() -> None:
    hosts = planned("engines-only").fleet.hosts
    assert (hosts["gpu-b"].address, hosts["gpu-b"].user) == ("10.0.0.2", "admin")


def test_a_file_wins_over_its_include() -> None:
    production, staging = planned("production").fleet, planned("staging").fleet
    assert (production.name, staging.name) == ("production", "staging")
    assert production.models["coder"].context == 262144
    assert staging.models["coder"].context == 131072, "from the file"
    assert staging.models["coder"].output == 32768, "from the include"


def test_null_removes_an_included_value() -> None:
    assert set(planned("staging").fleet.models) == {"coder"}
    assert planned("staging").fleet.fallbacks == {}


def test_a_secret_from_another_source_replaces_the_included_one() -> None:
    [engine] = planned("staging").hosts["box"].engines_of(VllmPlan)
    assert str(engine.api_key) == "{env: STAGING_ENGINE_KEY}"


def test_paths_are_relative_to_their_file() -> None:
    [engine] = planned("production").hosts["gpu-1"].engines_of(VllmPlan)
    assert engine.api_key
    assert engine.api_key.directory == (GOOD / "base").resolve()
    assert planned("production").fleet.ssh.known_hosts == (GOOD / "base/known_hosts").resolve()


def test_hosts_are_selected_by_labels() -> None:
    plan = planned("forty-hosts")
    berlin = [name for name in plan.hosts if name.startswith("gpu-berlin")]
    assert [name for name, host in plan.hosts.items() if "coder" in models(host)] == berlin
    assert plan.fleet.gateway
    assert len(plan.fleet.gateway.hosts) == 4


def test_models_of_one_host_share_no_gpus() -> None:
    large, pinned, small = planned("crowded").hosts["gpu"].engines_of(VllmPlan)
    assert pinned.devices == (0, 7), "as in the file"
    assert large.devices == (1, 2, 3, 4), "the first free ones: 2 x 2"
    assert small.devices == (5,)


def test_seats_select_users_by_host() -> None:
    plan = planned("forty-hosts")
    [client] = plan.hosts["dev-oslo-3"].clients.users  # type: ignore[union-attr]
    assert (client.user, client.settings["model"]) == ("dev3", "thinker")


def test_every_scope_on_one_host() -> None:
    clients = planned("scopes").hosts["dev"].clients
    assert clients and clients.managed
    found = {(client.group, client.user): client for client in clients.users}
    assert {key: client.directory for key, client in found.items()} == {
        ("staff", "ada"): ".claude",
        ("staff", "grace"): ".claude",
        ("guests", "linus"): ".claude",
        ("lab", "ada"): ".claude-lab",
    }
    assert found["staff", "ada"].settings == {}, "the managed settings apply to the whole host"
    policy = clients.managed.settings
    assert policy["allowedProviders"] == ["customEndpoint"]
    assert policy["requiredMinimumVersion"] == "2.1.331"
    assert (clients.version, clients.versions) == ("2.1.331", ("2.1.331",))
    assert policy["env"].items() <= found["lab", "ada"].settings["env"].items()


def test_a_host_with_isolated_groups_only_has_no_ordinary_client() -> None:
    clients = planned("scopes").hosts["laptop"].clients
    assert clients
    assert (clients.version, clients.managed) == (None, None)
    assert [(command.command, command.version) for command in clients.isolated] == [
        ("claude-lab", "2.1.331"),
        ("claude-out", "2.1.331"),
    ]


def environment(name: str, group: str) -> dict[str, str]:
    hosts = planned(name).hosts.values()
    users = (client for host in hosts if host.clients for client in host.clients.users)
    client = next(client for client in users if client.group == group)
    variables: dict[str, str] = client.settings["env"]
    return variables


def test_only_models_on_engines_get_the_settings_for_the_prefix_cache() -> None:
    headers = {"CLAUDE_CODE_ATTRIBUTION_HEADER", "CLAUDE_CODE_TOTAL_TOKENS_REMINDER"}
    assert headers <= environment("scopes", "lab").keys()
    assert not headers & environment("scopes", "outside").keys()


def test_thinking_needs_a_reasoning_parser() -> None:
    off = "CLAUDE_CODE_DISABLE_THINKING"
    assert off not in environment("scopes", "lab"), "its family has a reasoning parser"
    assert environment("smallest", "team")[off] == "1", "its family has none"
    assert off not in environment("scopes", "outside"), (
        "a model of the fleet needs a request to disable it"
    )
    assert off not in environment("replicas", "leads"), "a provider's model"


def test_network_and_privacy_of_a_group() -> None:
    outside = environment("scopes", "outside")
    assert outside["NO_PROXY"] == "10.0.0.2,localhost,127.0.0.1,::1", "no proxy to the gateway"
    assert outside["HTTPS_PROXY"] == "http://proxy.example.com:3128"
    assert outside["NODE_EXTRA_CA_CERTS"] == "/etc/ssl/certs/company.pem"
    assert outside["CLAUDE_CODE_SUBAGENT_MODEL"] == "cloud"
    assert outside["DISABLE_TELEMETRY"] == "1"
    assert "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC" not in outside


def test_keys_from_the_users_shell_are_emptied() -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        assert environment("smallest", "team")[name] == ""
