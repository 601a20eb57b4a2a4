"""Weights from a hub: the real client of the release that engines have, the hub a stand-in."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from threading import Event

import pytest

from mirrorfleet.roles.vllm.files import hub_download as program
from mirrorfleet.roles.vllm.weights import HUB
from tests.roles.fleets import safetensors
from tests.standins.hub import Hub, running

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
        # What no engine loads where there are safetensors, and what is no part of a model.
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
    # The program runs once in a process: its client keeps the proxy that it first saw.
    if client := sys.modules.get("huggingface_hub"):
        client.close_session()


def wanted(hub: Hub, **other: object) -> dict[str, object]:
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
    """Fetch into the working directory, and return what is said when it fails."""
    said = wanted(hub, **other)
    try:
        program.main(said)
    except Exception as error:
        return program.reason(error, said)
    return ""


def there(part: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(part)): path.read_bytes()
        for path in part.rglob("*")
        if path.is_file() and ".mirrorfleet" not in path.parts
    }


def enlarged(hub: Hub) -> str:
    """Let a file of the hub be so large that a part of it is written before all has come."""
    name = "model-1.safetensors"
    (hub.directory / "Qwen/Coder" / REVISION / name).write_bytes(HUGE)
    return name


def test_a_revision_comes_whole_with_the_digests_of_its_files(hub: Hub, part: Path) -> None:
    (part / "of-another-time.json").write_text("{}")
    assert fetched(hub) == ""
    assert there(part) == FILES
    listed = (part / ".mirrorfleet/sha256").read_text().splitlines()
    assert listed == [f"{sha256(FILES[name]).hexdigest()}  {name}" for name in sorted(FILES)]


def test_one_that_was_killed_goes_on_where_it_was(hub: Hub, part: Path) -> None:
    name = enlarged(hub)
    hub.stalls = {name: 12 * 1024**2}
    with subprocess.Popen(
        [sys.executable, "-I", "-c", HUB], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(wanted(hub)).encode())
        process.stdin.close()
        while not program.have(name):
            assert process.poll() is None
            Event().wait(0.05)
        process.kill()
    arrived = program.have(name)  # more may have come before it died
    hub.stalls, hub.asked = {}, []
    assert fetched(hub) == ""
    assert there(part) == {**FILES, name: HUGE}
    # What had arrived is not sent again.
    assert (name, arrived) in [each[:2] for each in hub.asked]
    assert (name, 0) not in [each[:2] for each in hub.asked]


def test_a_hub_that_breaks_off_is_asked_for_the_rest(hub: Hub, part: Path) -> None:
    name = enlarged(hub)
    hub.breaks = {name: len(HUGE) - 1}
    assert fetched(hub) == ""
    assert there(part) == {**FILES, name: HUGE}
    assert [at for asked, at, _ in hub.asked if asked == name and at] != []


def test_a_file_that_comes_corrupted_is_fetched_again(hub: Hub, part: Path) -> None:
    hub.corrupts = {"model-1.safetensors": 1, "config.json": 1}
    assert fetched(hub) == ""
    assert there(part) == FILES


def test_one_that_stays_corrupted_is_refused_and_not_kept(hub: Hub, part: Path) -> None:
    hub.corrupts = {"model-2.safetensors": 9}
    assert "model-2.safetensors comes from http://127.0.0.1" in fetched(hub)
    assert "model-2.safetensors" not in there(part)
    assert not (part / ".mirrorfleet").exists()


def test_a_file_that_was_changed_where_it_arrived_is_found(hub: Hub, part: Path) -> None:
    fetched(hub)
    (part / "model-2.safetensors").write_bytes(OTHER[:-1] + b"!")
    hub.asked = []
    assert fetched(hub) == ""
    assert there(part) == FILES
    assert [each[0] for each in hub.asked] == ["model-2.safetensors"]


def test_a_token_opens_what_is_gated_and_goes_to_the_hub_alone(hub: Hub, part: Path) -> None:
    hub.token, hub.gated = "hf_of_the_tests", True
    complaint = fetched(hub)
    assert "only to those whom its owner has admitted" in complaint
    assert "hub.token" in complaint
    assert fetched(hub, token="hf_of_the_tests") == ""
    assert there(part) == FILES


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"repository": "Qwen/Nobody"}, "knows no Qwen/Nobody, or shows it only to those with a"),
        ({"revision": "0" * 40}, f"has no revision {'0' * 40} at http://"),
        ({"url": "http://127.0.0.1:9"}, "http://127.0.0.1:9 cannot be reached, or breaks off"),
        ({"proxy": "http://127.0.0.1:9"}, "cannot be reached, or breaks off"),
    ],
    ids=["repository", "revision", "hub", "proxy"],
)
def test_what_is_wrong_is_said_with_a_remedy(
    hub: Hub, part: Path, wrong: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "proxy" in wrong:
        monkeypatch.setenv("HTTP_PROXY", wrong["proxy"])
    assert said in fetched(hub, **wrong)
