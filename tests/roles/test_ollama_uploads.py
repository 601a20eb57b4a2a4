"""Files that the controller sends to an Ollama: GGUF files, and stores of models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.command import FileUploadCommand
from pyinfra.api.exceptions import DeployError

from mirrorfleet.planning.ollama import OllamaPlan
from mirrorfleet.roles.ollama import blobs, disk, models
from mirrorfleet.runtime import chunks
from mirrorfleet.runtime.digests import digest
from mirrorfleet.runtime.facts import Disk
from tests.roles.answers import with_values
from tests.roles.machine import Machine
from tests.roles.ollama_host import HELPER, OllamaHost
from tests.standins.ollama import real_store

pytestmark = pytest.mark.slow


@pytest.fixture
def host(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[OllamaHost]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(machine.root / "cache"))
    found = OllamaHost(machine)
    yield found
    found.stop()


def own_model(host: OllamaHost) -> OllamaPlan:
    """Return the plan of a model from two files of this machine."""
    root = host.machine.root
    (root / "own.gguf").write_bytes(b"GGUF weights")
    (root / "lora.gguf").write_bytes(b"GGUF adapter..")
    (root / "own.modelfile").write_text("FROM own.gguf\nADAPTER ./lora.gguf\n")
    return host.ollama(own={**HELPER, "weights": {"modelfile": "own.modelfile"}})


def test_a_model_from_local_files(host: OllamaHost) -> None:
    root = host.machine.root
    plan = own_model(host)
    host.start(plan)
    sent = list(models.send(plan, host.observe(plan)))
    done = host.run([*sent, *models.make(plan)])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("own: created from own.gguf, window 65536\nown: tool call ")
    assert host.window("own") == 65536
    assert not any(host.machine.at(blobs.STAGING).iterdir()), "the server has its own copy"

    # The content of the files identifies the model; a file on the server is not sent again.
    assert not any(models.changes(plan, host.observe(plan)))
    assert list(models.send(plan, host.observe(plan))) == []
    (root / "own.gguf").write_bytes(b"GGUF other weights")
    assert [change.what for change in models.changes(plan, host.observe(plan))] == [
        "ollama: model own is missing or differs"
    ]
    again = blobs.missing(plan, plan.models, host.observe(plan))
    assert [blob.path.name for blob in again.values()] == ["own.gguf"]


def test_a_cut_upload_of_a_large_file_continues(
    host: OllamaHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "SMALL", 4)
    monkeypatch.setattr(chunks, "CHUNK", 5)
    plan = own_model(host)
    host.start(plan)
    cut = list(models.send(plan, host.observe(plan)))[:5]
    done = host.run(cut)
    assert done.stdout == "weights own: 0.00 of 0.00 GB\n"
    [arrived] = host.machine.at(blobs.STAGING).iterdir()
    first = arrived.read_bytes()
    assert len(first) == 10

    rest = list(models.send(plan, host.observe(plan)))
    pieces: list[Any] = [each.src for each in rest if isinstance(each, FileUploadCommand)]
    assert [piece.start for piece in pieces] == [10, 0, 5, 10], "it begins at the missing byte"
    done = host.run([*rest, *models.make(plan)])
    assert (done.returncode, done.stderr) == (0, "")
    assert host.window("own") == 65536
    assert not any(host.machine.at(blobs.STAGING).iterdir())


def test_a_damaged_upload_is_sent_again(host: OllamaHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "SMALL", 4)
    plan = own_model(host)
    host.start(plan)
    staging = host.machine.at(blobs.STAGING)
    staging.mkdir()
    requested = digest(host.machine.root / "own.gguf")
    (staging / requested).write_bytes(b"BAD!")
    done = host.run(models.send(plan, host.observe(plan)))
    assert done.returncode == 1
    assert "Ollama rejects the file: digest mismatch" in done.stderr
    assert not (staging / requested).exists()
    done = host.run([*models.send(plan, host.observe(plan)), *models.make(plan)])
    assert (done.returncode, done.stderr) == (0, "")


def test_the_disk_must_have_room_for_all_copies(host: OllamaHost) -> None:
    plan = own_model(host)
    found = host.observe(plan)
    # own.gguf has 12 bytes: as given, as Ollama writes it, and once more while it does. lora.gguf
    # has 14: it waits, with its last chunk, until the server has it.
    expected = {"/var/lib/mirrorfleet": 3 * 12 + 14 + 2 * 14}
    assert disk.needs(plan, found) == expected
    place = Disk("/var/lib/mirrorfleet")
    [needed] = expected.values()
    assert not list(disk.problems(plan, with_values(found, {place: needed})))
    [problem] = disk.problems(plan, with_values(found, {place: needed - 1}))
    assert "the files for Ollama need 0.00 GB below /var/lib/mirrorfleet" in problem.mistake
    elsewhere = host.ollama(
        own={**HELPER, "weights": {"modelfile": "own.modelfile"}, "models_directory": "/srv/models"}
    )
    found = host.observe(elsewhere)
    assert disk.needs(elsewhere, found) == {"/var/lib/mirrorfleet": 28, "/srv/models": 50}


@pytest.fixture
def store(host: OllamaHost) -> Path:
    """Return a store of this machine with one model."""
    directory = host.machine.root / "store"
    real_store.write(directory, "team/coder:7b")
    return directory


def pushed(host: OllamaHost, **weights: str) -> OllamaPlan:
    return host.ollama(coder={**HELPER, "weights": {"push": "store", **weights}})


def test_a_store_is_sent_without_a_registry(host: OllamaHost, store: Path) -> None:
    plan = pushed(host)
    host.start(plan)
    done = host.run([*models.send(plan, host.observe(plan)), *models.make(plan)])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "coder: team/coder:7b: from the uploaded files\n"
        "coder: created from team/coder:7b, window 65536\n"
    )
    assert host.names() == {"team/coder:7b", "coder:latest"}
    assert host.window("coder") == 65536
    parameters = host.ask("POST", "/api/show", {"model": "coder"})["parameters"]
    assert "temperature" in parameters, "the layers of the manifest apply"
    [digest] = [
        model["digest"]
        for model in host.ask("GET", "/api/tags")["models"]
        if model["name"] == "team/coder:7b"
    ]
    assert digest == plan.models[0].digest, "the manifest is the same, byte for byte"
    assert not any(models.changes(plan, host.observe(plan)))
    assert host.make(plan).stdout == ""


def test_another_model_under_the_same_tag_of_a_store_replaces_it(
    host: OllamaHost, store: Path
) -> None:
    plan = pushed(host)
    host.start(plan)
    host.run([*models.send(plan, host.observe(plan)), *models.make(plan)])
    real_store.write(store, "team/coder:7b", b"GGUF other weights")
    plan = pushed(host)
    assert any(models.changes(plan, host.observe(plan)))
    # The config and the parameters are on the server.
    [missing] = blobs.missing(plan, plan.models, host.observe(plan)).values()
    assert missing.path.read_bytes() == b"GGUF other weights"
    done = host.run([*models.send(plan, host.observe(plan)), *models.make(plan)])
    assert (done.returncode, done.stderr) == (0, "")
    assert not any(models.changes(plan, host.observe(plan)))


def test_a_damaged_blob_is_not_sent(host: OllamaHost, store: Path) -> None:
    plan = pushed(host)
    host.start(plan)
    [weights] = [path for path in (store / "blobs").iterdir() if path.read_bytes()[:4] == b"GGUF"]
    weights.write_bytes(b"GGUF WEIGHTS")
    with pytest.raises(DeployError) as caught:
        list(models.send(plan, host.observe(plan)))
    assert f"{weights} is damaged: its sha256 is " in str(caught.value)


def test_a_missing_blob_is_an_error_of_the_server(host: OllamaHost, store: Path) -> None:
    plan = pushed(host)
    host.start(plan)
    done = host.make(plan)
    assert "coder: Ollama does not take team/coder:7b from its uploaded files: " in done.stderr
    assert host.names() == set()


def test_a_model_of_an_interrupted_run_is_removed(host: OllamaHost, store: Path) -> None:
    plan = pushed(host)
    host.start(plan)
    host.run([*models.send(plan, host.observe(plan)), *models.make(plan)])
    left = "127.0.0.1:4711/mirrorfleet/pushed:latest"
    host.ask("POST", "/api/copy", {"source": "team/coder:7b", "destination": left})
    host.ledger.write_text(json.dumps({}))
    host.make(plan)
    assert host.names() == {"team/coder:7b", "coder:latest"}
