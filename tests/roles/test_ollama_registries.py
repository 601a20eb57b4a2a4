"""Models from registries of one's own: a real registry over HTTP and TLS, a stand-in for Ollama."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mirrorfleet.runtime.service import NEVER
from tests.roles.machine import Machine
from tests.roles.ollama_host import HELPER, OllamaHost
from tests.standins.ollama import real_store

pytestmark = pytest.mark.slow


@pytest.fixture
def host(machine: Machine) -> Iterator[OllamaHost]:
    found = OllamaHost(machine)
    yield found
    found.stop()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "registry"


@pytest.fixture
def address(store: Path) -> Iterator[str]:
    with real_store.registry(store) as found:
        yield found


def test_a_tag_with_its_registry_over_plain_http(
    host: OllamaHost, store: Path, address: str
) -> None:
    digest = real_store.write(store, "team/coder:7b")
    tag = f"{address}/team/coder:7b"
    plan = host.ollama(coder={**HELPER, "weights": tag, "plain_http": True, "digest": digest})
    host.start(plan)
    done = host.make(plan)
    assert (done.returncode, done.stderr) == (0, "")
    assert host.names() == {tag, "coder:latest"}
    assert host.window("coder") == 65536
    assert host.make(plan).stdout == ""


def test_without_the_word_it_is_asked_over_tls(host: OllamaHost, store: Path, address: str) -> None:
    real_store.write(store, "team/coder:7b")
    plan = host.ollama(coder={**HELPER, "weights": f"{address}/team/coder:7b"})
    host.start(plan)
    done = host.make(plan)
    assert done.returncode == NEVER
    assert "server gave HTTP response to HTTPS client" in done.stderr
    assert "The registry speaks plain HTTP: write plain_http: true, and the digest" in done.stderr
    assert host.names() == set()


def test_its_digest_is_checked(host: OllamaHost, store: Path, address: str) -> None:
    real_store.write(store, "team/coder:7b", b"GGUF other weights")
    requested = real_store.write(store, "team/coder:8b")
    tag = f"{address}/team/coder:7b"
    plan = host.ollama(coder={**HELPER, "weights": tag, "plain_http": True, "digest": requested})
    host.start(plan)
    done = host.make(plan)
    assert done.returncode == NEVER
    assert f"but the fleet file has {requested}: the tag has moved" in done.stderr
    assert "coder:latest" not in host.names()


@pytest.mark.parametrize(
    ("tag", "remedy"),
    [
        ("team/coder:9b", "The registry does not have this tag: correct the weights."),
        ("damaged/coder:7b", "digest mismatch, file must be downloaded again"),
    ],
)
def test_what_a_registry_cannot_give(
    host: OllamaHost, store: Path, address: str, tag: str, remedy: str
) -> None:
    real_store.write(store, "damaged/coder:7b")
    for blob in (store / "blobs").iterdir():
        blob.write_bytes(b"x" * blob.stat().st_size)
    plan = host.ollama(coder={**HELPER, "weights": f"{address}/{tag}", "plain_http": True})
    host.start(plan)
    done = host.make(plan)
    assert done.returncode == NEVER
    assert remedy in done.stderr
    assert host.names() == set()
