"""Weights from a hub: the real client of the engines' release, with a stand-in for the hub."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from mirrorfleet.roles.vllm.files import hub_download as program
from mirrorfleet.roles.vllm.files.hub_files import local_size, reason, set_environment
from mirrorfleet.roles.vllm.weights import HUB
from tests.roles.fleets import safetensors
from tests.standins.hub import Hub, running
from tests.waiting import limited, until

REVISION = "3f1c5f0d6b3a4be0a0b8f7a1c2d3e4f5a6b7c8d9"
LARGE, OTHER = safetensors(bytes(range(256)) * 2048), safetensors(b"x" * 9000)
HUGE = safetensors(bytes(15 * 1024**2))
FILES = {
    "config.json": b"{}\n",
    "model-1.safetensors": LARGE,
    "model-2.safetensors": OTHER,
    "tokenizer/vocab.txt": b"a\nb\n",
}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    directory = tmp_path / "hub/Qwen/Coder" / REVISION
    for name, content in {
        **FILES,
        # Formats that engines ignore beside safetensors, and a file that belongs to no model.
        "pytorch_model.bin": b"the same",
        "original/consolidated.safetensors": b"again",
        ".gitattributes": b"*",
    }.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
    with running(Hub(tmp_path / "hub")) as hub:
        yield hub


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    directory = tmp_path / "weights/coder.part"
    directory.mkdir(parents=True)
    monkeypatch.chdir(directory)
    monkeypatch.setattr("time.sleep", lambda _: None)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    yield directory
    # The client keeps the proxy of its first request; the program runs once per process.
    if client := sys.modules.get("huggingface_hub"):
        client.close_session()


def request(hub: Hub, **other: object) -> dict[str, object]:
    return {
        "model": "coder",
        "repository": "Qwen/Coder",
        "revision": REVISION,
        "url": hub.url,
        "token": None,
        "proxy": None,
        **other,
    }


def fetched(hub: Hub, **other: object) -> str:
    """Download into the working directory, and return the message of a failure."""
    job = request(hub, **other)
    try:
        set_environment(job)
        program.bring(job)
    except Exception as error:
        return reason(error, job)
    return ""


def files(part: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(part)): path.read_bytes()
        for path in part.rglob("*")
        if path.is_file() and ".mirrorfleet" not in path.parts
    }


def enlarged(hub: Hub) -> str:
    """Make a file of the hub so large that it arrives in parts, and return its name."""
    name = "model-1.safetensors"
    (hub.directory / "Qwen/Coder" / REVISION / name).write_bytes(HUGE)
    return name


def test_all_files_of_a_revision_are_downloaded_and_digests_written(hub: Hub, part: Path) -> None:
    (part / "of-another-revision.json").write_text("{}")
    assert fetched(hub) == ""
    assert files(part) == FILES
    listed = (part / ".mirrorfleet/sha256").read_text().splitlines()
    assert listed == [f"{sha256(FILES[name]).hexdigest()}  {name}" for name in sorted(FILES)]


def test_a_killed_download_continues_where_it_stopped(hub: Hub, part: Path) -> None:
    name = enlarged(hub)
    hub.stalls = {name: 12 * 1024**2}
    with limited(
        subprocess.Popen(
            [sys.executable, "-I", "-c", HUB], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
    ) as process:
        assert process.stdin is not None
        job = {**request(hub), "directory": str(part)}
        process.stdin.write(json.dumps({"hub": job, "jobs": [job]}).encode())
        process.stdin.close()
        until(lambda: local_size(name) or process.poll() is not None, "a first part")
        assert process.poll() is None
        process.kill()
    arrived = local_size(name)  # more may arrive before the process ends
    hub.stalls, hub.sent = {}, []
    assert fetched(hub) == ""
    assert files(part) == {**FILES, name: HUGE}
    # The part from before is not sent again.
    assert (name, arrived) in [sent[:2] for sent in hub.sent]
    assert (name, 0) not in [sent[:2] for sent in hub.sent]


def test_a_broken_connection_is_continued(hub: Hub, part: Path) -> None:
    name = enlarged(hub)
    hub.breaks = {name: len(HUGE) - 1}
    assert fetched(hub) == ""
    assert files(part) == {**FILES, name: HUGE}
    assert [at for file, at, _ in hub.sent if file == name and at] != []


def test_a_corrupted_file_is_downloaded_again(hub: Hub, part: Path) -> None:
    hub.corrupts = {"model-1.safetensors": 1, "config.json": 1}
    assert fetched(hub) == ""
    assert files(part) == FILES


def test_a_file_that_stays_corrupted_is_rejected_and_removed(hub: Hub, part: Path) -> None:
    hub.corrupts = {"model-2.safetensors": 9}
    assert "model-2.safetensors from http://127.0.0.1" in fetched(hub)
    assert "model-2.safetensors" not in files(part)
    assert not (part / ".mirrorfleet").exists()


def test_a_local_change_of_a_file_is_found(hub: Hub, part: Path) -> None:
    fetched(hub)
    (part / "model-2.safetensors").write_bytes(OTHER[:-1] + b"!")
    hub.sent = []
    assert fetched(hub) == ""
    assert files(part) == FILES
    assert [name for name, *_ in hub.sent] == ["model-2.safetensors"]


def test_a_token_gives_access_to_gated_files(hub: Hub, part: Path) -> None:
    hub.token, hub.gated = "hf_of_the_tests", True
    complaint = fetched(hub)
    assert "is gated: request access there" in complaint
    assert "hub.token" in complaint
    assert fetched(hub, token="hf_of_the_tests") == ""
    assert files(part) == FILES


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"repository": "Qwen/Missing"}, "has no Qwen/Missing, or shows it only with a token"),
        ({"revision": "0" * 40}, f"has no revision {'0' * 40}: correct the revision."),
        (
            {"url": "http://127.0.0.1:9"},
            "http://127.0.0.1:9 cannot be reached, or the connection breaks",
        ),
        ({"proxy": "http://127.0.0.1:9"}, "cannot be reached, or the connection breaks"),
    ],
    ids=["repository", "revision", "hub", "proxy"],
)
def test_a_failure_has_a_remedy(
    hub: Hub, part: Path, wrong: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "proxy" in wrong:
        monkeypatch.setenv("HTTP_PROXY", wrong["proxy"])
    assert message in fetched(hub, **wrong)
