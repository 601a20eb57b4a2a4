"""Small files from a hub: the requests of huggingface_hub, by a stand-in for the hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from mirrorfleet.runtime.hub import HubError, Repository
from tests.standins.hub import Hub, running

REVISION = "3f1c5f0d6b3a4be0a0b8f7a1c2d3e4f5a6b7c8d9"
INDEX = json.dumps({"metadata": {"total_size": 61_000_000_000}, "weight_map": {"x" * 5000: "a"}})


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    directory = tmp_path / "hub/Qwen/Coder" / REVISION
    directory.mkdir(parents=True)
    (directory / "config.json").write_text('{"num_hidden_layers": 1}')
    (directory / "model.safetensors.index.json").write_text(INDEX)
    (directory / "model-1.safetensors").write_bytes(b"x" * 9000)
    (directory / "model-2.safetensors").write_bytes(b"x" * 1000)
    with running(Hub(tmp_path / "hub", branches={"main": REVISION})) as hub:
        yield hub


def repository(hub: Hub, **other: str) -> Repository:
    return replace(Repository(hub.url, "Qwen/Coder", "main"), **other)


def test_a_file_of_a_branch_comes_with_its_commit(hub: Hub) -> None:
    found = repository(hub).file("config.json")
    assert json.loads(found.content) == {"num_hidden_layers": 1}
    assert found.commit == REVISION


def test_a_large_file_comes_through_a_redirect(hub: Hub) -> None:
    found = repository(hub).file("model.safetensors.index.json")
    assert json.loads(found.content)["metadata"]["total_size"] == 61_000_000_000
    assert found.commit == REVISION, "only the first answer names it"


def test_the_sizes_of_weights_come_without_the_weights(hub: Hub) -> None:
    assert repository(hub).weights_bytes() == 10_000
    assert hub.sent == [], "no file was sent"


def test_the_token_is_sent_to_the_hub(hub: Hub) -> None:
    hub.token = "hf_secret"
    with pytest.raises(HubError, match="shows it only with a token"):
        repository(hub).file("config.json")
    assert repository(hub, token="hf_secret").file("config.json").content
    assert hub.sent == [("config.json", 0, "Bearer hf_secret")]
    hub.gated = True
    with pytest.raises(HubError, match="is gated: request access there, and set hub"):
        repository(hub).file("config.json")


def test_the_token_is_not_sent_to_another_address(hub: Hub) -> None:
    class Away(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"{hub.url}{self.path}")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Away)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        assert repository(hub, url=url, token="hf_secret").file("config.json").content
    finally:
        server.shutdown()
        server.server_close()
    assert hub.sent == [("config.json", 0, None)]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"name": "Qwen/Cdoer"}, "has no Qwen/Cdoer, or shows it only with a token."),
        ({"revision": "v2"}, "has no revision v2: correct the revision."),
        ({"url": "http://127.0.0.1:9"}, "cannot be reached: .*Set hub.url to a mirror"),
        ({"proxy": "http://127.0.0.1:9"}, "cannot be reached: .*set hub.proxy"),
    ],
)
def test_a_failure_has_its_remedy(hub: Hub, other: dict[str, str], message: str) -> None:
    with pytest.raises(HubError, match=message):
        repository(hub, **other).file("config.json")


def test_a_missing_file_is_no_missing_repository(hub: Hub) -> None:
    with pytest.raises(HubError) as caught:
        repository(hub).file("generation_config.json")
    assert caught.value.is_missing
    with pytest.raises(HubError) as caught:
        repository(hub, name="a/b").file("config.json")
    assert not caught.value.is_missing


def test_a_token_is_in_no_representation() -> None:
    assert "hf_secret" not in repr(Repository("http://h", "a/b", "main", "hf_secret"))
