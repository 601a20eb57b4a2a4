"""The plan of Ollama: one server per host, with a route to each model."""

from __future__ import annotations

from pathlib import Path

from mirrorfleet import fleet
from mirrorfleet.planning import FleetPlan
from mirrorfleet.planning.ollama import OllamaPlan

GOOD = Path(__file__).parent / "good"


def planned(name: str) -> FleetPlan:
    return fleet.plan(fleet.load(GOOD / f"{name}.yml"))


def ollama(plan: FleetPlan, host: str) -> OllamaPlan:
    [found] = plan.hosts[host].engines_of(OllamaPlan)
    return found


def test_all_models_of_a_host_configure_its_server() -> None:
    server = ollama(planned("one-host-ollama"), "box")
    assert (server.port, server.keep_alive, server.kv_cache_type) == (11500, "8m", "q8_0")
    assert server.flash_attention is True, "because the KV cache needs it"
    assert server.context == 131072, "the largest window"
    assert [model.model for model in server.models] == ["helper", "coder"]


def test_a_known_release_needs_no_checksums() -> None:
    server = ollama(planned("one-host-ollama"), "box")
    assert set(server.releases) == {"x86_64", "aarch64"}
    for architecture, name in (("x86_64", "amd64"), ("aarch64", "arm64")):
        url = server.releases[architecture].url
        assert url and url.endswith(f"/v{server.version}/ollama-linux-{name}.tar.zst")


def test_every_model_has_its_own_window() -> None:
    helper, coder = ollama(planned("one-host-ollama"), "box").models
    assert helper.recipe == {"from": "qwen3:4b", "parameters": {"num_ctx": 65536}}
    assert coder.tag == coder.recipe["from"] == "qwen3-coder:30b"
    assert coder.recipe["parameters"] == {
        "num_ctx": 131072,
        "temperature": 0.7,
        "stop": ["<|im_end|>", "<|endoftext|>"],
    }
    assert coder.recipe["system"] == "\nYou write short functions,\nand you say why.\n"


def test_the_route_is_untranslated_and_without_a_key() -> None:
    plan = planned("ollama-beside-vllm")
    gateway = plan.hosts["gw"].gateway
    assert gateway is not None
    routes = [route for route in gateway.routes if route.model == "helper"]
    assert [route.settings["api_base"] for route in routes] == [
        "http://10.0.0.1:11434",
        "http://[fd00::2]:11434",
    ]
    for route in routes:
        assert (route.upstream, dict(route.secrets)) == ("anthropic/helper", {})
        assert (route.context, route.output) == (65536, 8192)


def test_it_has_the_gpus_that_vllm_does_not_use() -> None:
    plan = planned("ollama-beside-vllm")
    assert ollama(plan, "gpu-a").devices == (0, 3)
    assert ollama(plan, "gpu-b").devices == (0,)
    assert ollama(planned("one-host-ollama"), "box").devices == ()


def test_options_of_the_server_apply_to_all_models_of_a_host() -> None:
    server = ollama(planned("ollama-beside-vllm"), "gpu-b")
    assert (server.version, server.keep_alive, server.parallel) == ("0.40.1", "-1", 2)
    assert (server.max_loaded_models, server.max_queue) == (1, 64)
    assert server.models_directory == "/srv/ollama"
    assert {release.url for release in server.releases.values()} == {
        "https://mirror.example.com/ollama.tar.zst"
    }


def test_the_client_has_the_window_of_the_model() -> None:
    clients = planned("one-host-ollama").hosts["box"].clients
    assert clients is not None
    environment = clients.users[0].settings["env"]
    assert environment["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == "131072"
