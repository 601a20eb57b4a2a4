"""Which models and files deploys/remove_weights.py removes from an Ollama."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.ollama import models, render
from mirrorfleet.roles.ollama.removal import STORES, ModelsRemoval
from mirrorfleet.runtime.facts import Content
from mirrorfleet.runtime.observe import Observation
from tests.roles.machine import Machine
from tests.roles.ollama_host import HELPER, OllamaHost
from tests.standins.ollama import real_store

OLD = time.time() - 2 * 3600


@pytest.fixture
def host(machine: Machine) -> Iterator[OllamaHost]:
    found = OllamaHost(machine)
    machine.add("id", "exit 0")
    yield found
    found.stop()


def store(host: OllamaHost) -> Path:
    """Return the store of the host, with a model that somebody pulled by hand and one of a run."""
    place = host.machine.at(f"{render.HOME}/models")
    real_store.write(place, "mine:7b", b"GGUF mine")
    real_store.write(place, "team/coder:7b", b"GGUF weights")
    host.machine.at(models.PULLED).write_text(json.dumps({"team/coder:7b": {}}))
    return place


def age(place: Path) -> None:
    for path in (place / "blobs").iterdir():
        os.utime(path, (OLD, OLD))


def observe(host: OllamaHost) -> Observation:
    role = ModelsRemoval()
    found = host.machine.observe_as_host(*role.facts(host.plan(helper=HELPER)))
    assert set(STORES) <= set(found.values)
    return found


def removed(host: OllamaHost, plan: HostPlan) -> list[str]:
    """Remove what is unused, and return the changes that the run has announced."""
    role, observed = ModelsRemoval(), observe(host)
    changes = [change.what for change in role.changes(plan, observed)]
    done = host.run(role.clear(plan, observed))
    assert (done.returncode, done.stderr) == (0, "")
    assert not list(role.changes(plan, observe(host))), "a second run changes nothing"
    return changes


def contents(place: Path) -> set[bytes]:
    """Return the weights in a store."""
    files = [path.read_bytes() for path in (place / "blobs").iterdir()]
    return {content for content in files if content.startswith(b"GGUF")}


def test_a_tag_that_no_model_needs_goes_with_its_blobs(host: OllamaHost) -> None:
    place = store(host)
    changes = removed(host, host.plan(helper=HELPER))
    [change] = changes
    assert change.startswith("Ollama's registry.ollama.ai/team/coder/7b (0.00 GB) will be removed")
    assert contents(place) == {b"GGUF mine"}, "what somebody pulled by hand stays"
    assert not (place / "manifests/registry.ollama.ai/team/coder/7b").exists()
    # The parameters belong to both models.
    assert len(list((place / "blobs").iterdir())) == 3


def test_a_tag_that_a_model_needs_stays(host: OllamaHost) -> None:
    place = store(host)
    assert removed(host, host.plan(coder={**HELPER, "weights": "team/coder:7b"})) == []
    host.ledger.write_text(json.dumps({"old": {"tag": "team/coder:7b", "digest": "1"}}))
    assert removed(host, host.plan(helper=HELPER)) == [], "its removal is still to come"
    assert contents(place) == {b"GGUF mine", b"GGUF weights"}


def test_a_file_without_a_model_goes_after_an_hour(host: OllamaHost) -> None:
    """A GGUF file of which Ollama has its own copy, a cut pull, and a cut creation."""
    place = store(host)
    plan = host.plan(coder={**HELPER, "weights": "team/coder:7b"})
    for name in (f"sha256-{'0' * 64}", f"sha256-{'1' * 64}-partial-0", "COPY123"):
        (place / "blobs" / name).write_bytes(b"GGUF given")
    assert removed(host, plan) == [], "it may belong to a pull that is under way"
    age(place)
    assert len(removed(host, plan)) == 3
    assert contents(place) == {b"GGUF mine", b"GGUF weights"}


def test_without_ollama_in_the_fleet_file_its_models_go_too(host: OllamaHost) -> None:
    place = store(host)
    real_store.write(place, "helper", b"GGUF weights")
    host.ledger.write_text(json.dumps({"helper": {"tag": "team/coder:7b", "digest": "1"}}))
    plan = replace(host.plan(helper=HELPER), engines=())
    assert len(removed(host, plan)) == 2
    assert contents(place) == {b"GGUF mine"}


def test_odd_names_and_records_are_left_alone(host: OllamaHost) -> None:
    place = store(host)
    (place / "blobs" / "sha256-$(touch x)").write_bytes(b"GGUF odd")
    age(place)
    for text in ("", "[1]", "{torn", '{"../../../etc": {}, "a/b/c/d:e": {}, "team/coder:7b": 3}'):
        host.machine.at(models.PULLED).write_text(text)
        assert removed(host, host.plan(helper=HELPER)) == []
    assert b"GGUF odd" in contents(place)
    assert observe(host)[Content(models.LEDGER)] is None


def test_a_link_in_place_of_the_manifests_is_not_followed(host: OllamaHost) -> None:
    """The server owns its store, and root reads it."""
    place = store(host)
    age(place)
    elsewhere = place.parent / "elsewhere-of-root"
    (place / "manifests").rename(elsewhere)
    (place / "manifests").symlink_to(elsewhere)
    found = observe(host)[STORES[0]]
    assert (found.models, found.blobs) == ({}, {})


def test_a_pipe_in_place_of_a_manifest_does_not_stop_a_removal(host: OllamaHost) -> None:
    place = store(host)
    plan = host.plan(helper=HELPER)
    role, observed = ModelsRemoval(), observe(host)
    [manifest] = (place / "manifests").glob("*/team/coder/7b")
    manifest.unlink()
    os.mkfifo(manifest)
    done = host.run(role.clear(plan, observed))
    assert (done.returncode, done.stderr) == (0, "")
    assert not manifest.exists()
