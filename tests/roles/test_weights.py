"""Weights on a host: complete uploads and downloads, and detection of later damage."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyinfra.api.command import FileUploadCommand
from pyinfra.api.exceptions import DeployError

from mirrorfleet.config import Hub, Secret
from mirrorfleet.config.sandbox import HOMES, TEMPORARY
from mirrorfleet.config.vllm import Weights
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.vllm import removal, software, weights, weights_upload
from mirrorfleet.roles.vllm.files import check_weights
from mirrorfleet.runtime import chunks
from mirrorfleet.runtime.chunk import Chunk
from mirrorfleet.runtime.facts import Disk
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import WEIGHTS
from tests.roles.answers import with_values
from tests.roles.fleets import good, safetensors
from tests.roles.machine import Machine
from tests.roles.problems import texts
from tests.standins.hub import Hub as StandIn
from tests.standins.hub import running

SHARDS = {f"model-{n}.safetensors": safetensors(bytes([n]) * 1900) for n in (1, 2)}
FILES = {
    "config.json": b"{}\n",
    "model.safetensors.index.json": (
        b'{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}\n'
    ),
    "sub folder/it's.txt": b"text\n",
    **SHARDS,
}


def write(directory: Path) -> Path:
    for name, content in FILES.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
    return directory


class Receiver:
    """A host that receives weights by the real commands."""

    def __init__(self, machine: Machine, source: Path) -> None:
        self.machine = machine
        [engine] = good("one-machine").hosts["box"].engines_of(VllmPlan)[:1]
        self.engine = replace(engine, weights=Weights("push", str(source), None), hub=None)
        machine.add("sync", "exit 0")

    @property
    def place(self) -> str:
        return weights.location(self.engine.model, self.engine.weights)

    def observed(self) -> Observation:
        return self.machine.observe_as_host(*weights.facts(self.engine))

    def reported(self) -> list[str]:
        return [change.what for change in weights.changes(self.engine, self.observed())]

    def receive(self, cut: int = 99) -> list[str]:
        """Run the first ``cut`` commands; return the uploaded pieces and the error, if any."""
        uploaded = []
        commands = list(weights.fetch([(self.engine, "/nowhere")], self.observed()))
        for command in commands[:cut]:
            if isinstance(command, FileUploadCommand):
                to = self.machine.at(str(command.dest))
                source = command.src
                assert not isinstance(source, str)
                source.seek(0)
                with to.open("wb") as file:
                    while data := source.read(32768):
                        file.write(data)
                uploaded.append(to.name.partition(".")[2] or "small files")
                continue
            done = self.machine.run(command)
            if done.returncode:
                return [*uploaded, done.stderr]
        return uploaded

    def content(self) -> dict[str, bytes]:
        return _content(self.machine.at(self.place))


def _content(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and ".mirrorfleet" not in path.parts
    }


@pytest.fixture
def host(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Return a host, with weights whose shards are sent in several pieces."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(machine.root / "cache"))
    monkeypatch.setattr(weights_upload, "SMALL", 1000)
    monkeypatch.setattr(chunks, "CHUNK", 1024)
    yield Receiver(machine, write(machine.root / "source"))
    weights_upload.files.cache_clear()


def test_all_files_arrive_and_a_second_run_changes_nothing(host: Receiver) -> None:
    assert host.reported() == [f"{host.place} is missing"]
    assert host.receive() == ["0", "1024", "0", "1024", "small files"]
    assert host.content() == FILES
    assert host.reported() == host.receive() == []
    below = host.machine.at("/var/lib/mirrorfleet")
    assert [path.name for path in (below / "weights").iterdir()] == [Path(host.place).name]
    assert list((below / "inbox").iterdir()) == []


def test_an_interrupted_upload_continues_at_its_piece(host: Receiver) -> None:
    host.receive(cut=3)  # the commands: a directory, a piece, its installation
    assert host.reported() == [f"{host.place} is missing"]
    assert host.receive() == ["1024", "0", "1024", "small files"]
    assert host.content() == FILES


def test_a_corrupted_piece_is_sent_again(host: Receiver) -> None:
    host.receive(cut=3)
    part = host.machine.at(f"{host.place}.part/model-1.safetensors")
    part.write_bytes(b"!" + part.read_bytes()[1:])
    complaint = host.receive()[-1]
    assert "model-1.safetensors has another content than when it was uploaded" in complaint
    assert not host.machine.at(host.place).exists()
    assert host.receive() == ["0", "1024", "small files"]
    assert host.content() == FILES


def test_only_truncated_and_missing_files_are_sent_again(host: Receiver) -> None:
    host.receive()
    place = host.machine.at(host.place)
    untouched = (place / "model-2.safetensors").stat()
    with (place / "model-1.safetensors").open("r+b") as served:
        served.truncate(100)
        (place / "sub folder/it's.txt").unlink()
        assert host.reported() == [
            f"{host.place}: model-1.safetensors, sub folder/it's.txt are missing or truncated"
        ]
        assert host.receive() == ["0", "1024", "small files"]
        # A running engine can still read the old file.
        assert os.fstat(served.fileno()).st_size == 100
    assert host.content() == FILES
    assert (place / "model-2.safetensors").stat().st_ino == untouched.st_ino
    assert host.reported() == []


@pytest.mark.slow
def test_weights_from_a_hub_are_downloaded_and_repaired_by_file(
    host: Receiver, tmp_path: Path
) -> None:
    machine, revision = host.machine, "3f1c5f0d6b3a4be0a0b8f7a1c2d3e4f5a6b7c8d9"
    machine.add("chown", "exit 0")
    machine.add("environment/bin/python", f'exec {sys.executable} "$@"')
    environment = str(machine.programs / "environment")
    write(tmp_path / "hub/Qwen/Coder" / revision)
    with running(StandIn(tmp_path / "hub", token="hf_of_the_tests")) as hub:
        host.engine = replace(
            host.engine,
            weights=Weights("hub", "Qwen/Coder", revision),
            hub=Hub(hub.url, Secret("command", "echo hf_of_the_tests", tmp_path), None),
        )
        [command] = weights.fetch([(host.engine, environment)], host.observed())
        assert "hf_of_the_tests" not in str(command)
        done = machine.run(command)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"weights {host.engine.model}: 0.00 of 0.00 GB (100%)" in done.stdout
        assert host.content() == FILES
        assert host.reported() == []

        (machine.at(host.place) / "model-2.safetensors").unlink()
        hub.sent.clear()
        [command] = weights.fetch([(host.engine, environment)], host.observed())
        assert machine.run(command).returncode == 0
        assert host.content() == FILES
        assert [name for name, *_ in hub.sent] == ["model-2.safetensors"]


@pytest.mark.parametrize("of_files", [False, True], ids=["the directory", "a file"])
def test_a_link_to_a_directory_that_systemd_hides_is_an_error(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    of_files: bool,
) -> None:
    assert (*HOMES, *TEMPORARY) == check_weights.HIDDEN
    monkeypatch.setattr(check_weights, "HIDDEN", (str(tmp_path / "home"),))
    content, place = write(tmp_path / "home" / "big"), tmp_path / "srv"
    if of_files:
        write(place)
        (place / "model-2.safetensors").unlink()
        (place / "model-2.safetensors").symlink_to(content / "model-2.safetensors")
    else:
        place.symlink_to(content)
    assert check_weights.main("check", str(place)) == 1
    error = capsys.readouterr().err
    assert f"but systemd hides {tmp_path}/home from the service" in error
    assert ("model-2.safetensors links to" if of_files else "srv links to") in error

    # In the hub's cache, the files of a snapshot are links to blobs beside it.
    snapshot, blobs = tmp_path / "cache" / "snapshot", write(tmp_path / "cache" / "blobs")
    snapshot.mkdir()
    for blob in blobs.iterdir():
        (snapshot / blob.name).symlink_to(blob)
    assert check_weights.main("check", str(snapshot)) == 0


def test_verification_finds_changed_bytes(host: Receiver) -> None:
    host.receive()
    place = host.machine.at(host.place)
    content = SHARDS["model-2.safetensors"]
    (place / "model-2.safetensors").write_bytes(content[:-1] + b"!")
    assert host.reported() == []
    assert check_weights.main("verify", str(place)) == 1
    assert host.reported() == [f"{host.place}: model-2.safetensors is missing or truncated"]
    host.receive()
    assert host.content() == FILES
    assert check_weights.main("verify", str(place)) == 0


def test_a_disk_without_room_for_the_weights_is_a_problem(host: Receiver) -> None:
    needed = sum(map(len, FILES.values()))
    room = with_values(host.observed(), {Disk("/var/lib/mirrorfleet"): needed})
    [reason] = texts(weights.problems([host.engine], room))
    assert reason.startswith(
        "weights need 0.00 GB below /var/lib/mirrorfleet, and 0.00 GB are free."
    )
    room = with_values(room, {Disk("/var/lib/mirrorfleet"): needed + chunks.CHUNK})
    assert list(weights.problems([host.engine], room)) == []


def test_unused_weights_and_environments_are_removed_on_request(host: Receiver) -> None:
    """Running, planned and unfinished weights stay, and directories of other programs."""
    machine = host.machine
    below = machine.at("/var/lib/mirrorfleet/weights")
    started, old, torso = (f"tiny-{digit * 12}" for digit in "abc")
    for name in (started, old, f"{torso}.part", "by hand", Path(f"{host.place}.part").name):
        (below / name).mkdir(parents=True)
        (below / name / "x").write_bytes(bytes(8192))
    unit = machine.at("/opt/mirrorfleet/vllm-tiny/generations/0123/a.service")
    unit.parent.mkdir(parents=True)
    place = machine.at(software.ENVIRONMENTS)
    used, unused = (f"0.31.0-cpu-{digit * 8}" for digit in "de")
    planned = Path(software.environment(host.engine).directory).name
    for name in (used, unused, f"{unused}-2", planned, "by hand"):
        (place / name).mkdir(parents=True)
    unit.write_text(f"ExecStart={place}/{used}/bin/vllm serve {below}/{started} \\\n    --port=1\n")
    plan = replace(good("one-machine").hosts["box"], engines=(host.engine,))
    observed = machine.observe_as_host(*removal.WeightsRemoval().facts(plan))
    assert [change.what for change in removal.WeightsRemoval().changes(plan, observed)] == [
        *(
            f"{software.ENVIRONMENTS}/{name} (0.00 GB) will be removed"
            for name in (unused, f"{unused}-2")
        ),
        *(f"{WEIGHTS}/{name} (0.00 GB) will be removed" for name in (old, f"{torso}.part")),
    ]


def problems_of_directory(machine: Machine, engine: VllmPlan) -> list[str]:
    place = machine.root / "problems_of_directory"
    engine = replace(engine, weights=Weights("path", str(place), None), hub=None)
    return texts(weights.problems([engine], machine.observe(*weights.facts(engine))))


def test_a_shared_directory_must_match_its_index(host: Receiver) -> None:
    place = host.machine.root / "problems_of_directory"
    missing = f"no weights for '{host.engine.model}' at {place}. Copy them there."
    assert problems_of_directory(host.machine, host.engine) == [missing]
    write(place)
    assert problems_of_directory(host.machine, host.engine) == []
    (place / "model-2.safetensors").unlink()
    (place / "config.json").write_bytes(b"")
    assert problems_of_directory(host.machine, host.engine) == [
        f"the weights for '{host.engine.model}' at {place} are not complete: config.json, "
        "model-2.safetensors are missing or empty. Copy them there again."
    ]


BROKEN = {
    "no config": ("config.json", None, "there is no config.json in "),
    "a shard is missing": ("model-2.safetensors", None, "model-2.safetensors is missing, but"),
    "a shard is cut": (
        "model-1.safetensors",
        SHARDS["model-1.safetensors"][:-1],
        "model-1.safetensors has 2007 bytes, but its header requires 2008",
    ),
    "a header is cut": (
        "model-1.safetensors",
        b"\xff" * 9,
        "is truncated in its header, at 9 bytes",
    ),
    "a shard is something else": ("model-1.safetensors", bytes(64), "is not a safetensors file"),
    "the index is half": ("model.safetensors.index.json", b"{", "is not a valid index"),
}


@pytest.mark.parametrize(("name", "content", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_incomplete_weights_are_not_sent(
    host: Receiver, name: str, content: bytes | None, message: str
) -> None:
    file = host.machine.root / "source" / name
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DeployError, match="the weights to push are not complete: ") as caught:
        host.place  # noqa: B018
    assert message in str(caught.value)


def test_a_piece_can_be_read_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    piece = Chunk(tmp_path / "file", 3, 5)
    for _ in range(2):  # pyinfra reads it again if an upload fails
        piece.seek(0)
        assert io.BytesIO(b"".join(iter(lambda: piece.read(2), b""))).getvalue() == b"34567"
