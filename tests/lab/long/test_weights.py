"""Weights on a bad day: no room, a hub that goes away, files that go wrong. The engine serves on.

The hub is a stand-in, on another host of the lab; what downloads from it is the real client of the
engine's environment.
"""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import look, paths
from tests.lab.hosts import BY_NAME

REVISION = "3f1c5f0d6b3a4be0a0b8f7a1c2d3e4f5a6b7c8d9"
HUB = f"http://{BY_NAME['gw-2'].address}:8088"
UNIT = "mirrorfleet-vllm-tiny.service"
PADDING = 40_000_000
"""Bytes of a file that no engine reads, and that takes its time."""


@pytest.fixture(autouse=True)
def _serving_all_the_time() -> Iterator[None]:
    """Whatever goes wrong, the engine answers afterwards."""
    yield
    assert look.message("gw-1", look.secret("developers"))[0] == 200


@pytest.fixture(scope="module", autouse=True)
def _as_before() -> Iterator[None]:
    yield
    done = look.mirror()
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab's fleet, its weights from the hub."""
    directory = tmp_path_factory.mktemp("hub")
    said = "weights: {push: ../.lab/weights/tiny}"
    path = look.variant(directory, said, f"weights: lab/tiny\n    revision: {REVISION}")
    path.write_text(f"{path.read_text('utf-8')}\nhub: {{url: '{HUB}'}}\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def hub() -> Iterator[None]:
    """The lab's weights and a file more at the stand-in, which gives 8 MB a second."""
    directory = f"/srv/hub/lab/tiny/{REVISION}"
    program = (paths.REPOSITORY / "tests/standins/hub.py").read_text("utf-8")
    look.run("gw-2", f"mkdir -p {directory}; cat >/srv/hub.py", program)
    for file in (paths.ACCESS / "weights/tiny").iterdir():
        content = base64.b64encode(file.read_bytes()).decode()
        look.run("gw-2", f"base64 -d >{directory}/{file.name}", content)
    look.run("gw-2", f"head -c {PADDING} /dev/urandom >{directory}/padding.dat")
    yield
    look.run("gw-2", "systemctl --quiet stop hub; rm -rf /srv/hub /srv/hub.py")


def serve(speed: int) -> None:
    look.run(
        "gw-2",
        "systemctl --quiet stop hub 2>/dev/null; systemctl reset-failed hub 2>/dev/null; "
        f"systemd-run --quiet --unit=hub python3 /srv/hub.py /srv/hub 0.0.0.0 8088 {speed}; "
        "until ss -Hltn | grep -q :8088; do sleep 0.1; done",
    )


def wanted(fleet: Path) -> str:
    """Where the weights of a fleet are to stand, as a run says it."""
    said = look.plain(look.mirror("--dry", fleet=fleet).stderr)
    found = re.search(r"(/var/lib/mirrorfleet/weights/tiny-\w+) is missing", said)
    assert found, said
    return found[1]


def served() -> str:
    return look.run("gpu", f"systemctl show -p InvocationID {UNIT}")


@pytest.mark.usefixtures("hub")
def test_no_room_for_a_download(fleet: Path) -> None:
    serve(0)
    before, place = served(), wanted(fleet)
    look.run("gpu", f"mkdir -p {place}.part; mount -t tmpfs -o size=9m weights {place}.part")
    try:
        done = look.mirror(fleet=fleet)
    finally:
        look.run("gpu", f"umount {place}.part")
    assert done.returncode == 1
    said = look.plain(done.stdout + done.stderr)
    assert re.search(r"\[gpu\].*tiny: 0\.04 GB are still to be fetched, and the disk", said), said
    assert "remove_weights.py" in said
    assert served() == before


@pytest.mark.usefixtures("hub")
def test_a_hub_that_goes_away_in_the_middle_and_comes_back(fleet: Path) -> None:
    serve(8_000_000)
    before, place = served(), wanted(fleet)
    padding = f"{place}.part/padding.dat"
    command = look.command("-y", str(fleet.with_suffix(".py")), "deploys/mirror.py")
    with subprocess.Popen(
        command, cwd=paths.REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        size = f"stat -c %s {padding} 2>/dev/null || echo 0"
        while int(look.run("gpu", size)) < 10_000_000:
            assert run.poll() is None
            time.sleep(0.2)
        look.run("gw-2", "systemctl --quiet stop hub")
        said = look.plain(run.communicate()[0])
    assert run.returncode == 1
    assert re.search(rf"\[gpu\].*tiny: {HUB} cannot be reached, or breaks off", look.plain(said)), (
        said
    )
    assert served() == before

    arrived = int(look.run("gpu", size))
    serve(0)
    with look.journal("gw-2", "-u", "hub") as asked:
        done = look.mirror(fleet=fleet)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"padding.dat from {arrived}" in asked
    assert served() != before
    content = (paths.ACCESS / "weights/tiny/model.safetensors").read_bytes()
    found = look.run("gpu", f"sha256sum {place}/model.safetensors")
    assert found.split()[0] == hashlib.sha256(content).hexdigest()


@pytest.mark.usefixtures("hub")
def test_a_file_that_is_cut_later_is_fetched_alone(fleet: Path) -> None:
    place = look.run("gpu", "ls -d /var/lib/mirrorfleet/weights/tiny-3f1c5f0d6b3a").strip()
    before = served()
    look.run("gpu", f"truncate -s 1000 {place}/model.safetensors; rm {place}/config.json")
    with look.journal("gw-2", "-u", "hub") as asked:
        done = look.mirror(fleet=fleet)
    said = look.plain(done.stdout + done.stderr)
    assert f"{place}: config.json, model.safetensors are missing or cut" in said
    assert done.returncode == 0, said
    assert sorted(asked) == ["config.json from 0", "model.safetensors from 0"]
    assert served() == before
    assert look.changes(look.mirror("--json", fleet=fleet)) == []


@pytest.mark.usefixtures("hub")
def test_other_bytes_are_found_by_reading_all_and_then_healed(fleet: Path) -> None:
    place = "/var/lib/mirrorfleet/weights/tiny-3f1c5f0d6b3a"
    before = served()
    flip = "bs=1 seek=99999 conv=notrunc status=none"
    look.run("gpu", f"printf '\\377' | dd of={place}/model.safetensors {flip}")
    assert look.changes(look.mirror("--json", fleet=fleet)) == []
    done = look.pyinfra("-y", str(fleet.with_suffix(".py")), "deploys/verify_weights.py")
    assert done.returncode == 1
    assert "model.safetensors is not what it was sent as" in look.plain(done.stdout + done.stderr)
    assert look.mirror(fleet=fleet).returncode == 0
    done = look.pyinfra("-y", str(fleet.with_suffix(".py")), "deploys/verify_weights.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert served() == before


def test_no_room_for_what_is_pushed(tmp_path: Path) -> None:
    source = tmp_path / "weights"
    source.mkdir()
    for file in (paths.ACCESS / "weights/tiny").iterdir():
        (source / file.name).write_bytes(file.read_bytes())
    (source / "padding.dat").write_bytes(bytes(PADDING))
    said = "weights: {push: ../.lab/weights/tiny}"
    fleet = look.variant(tmp_path, said, f"weights: {{push: {source}}}")
    before, place = served(), wanted(fleet)
    look.run("gpu", f"mkdir -p {place}.part; mount -t tmpfs -o size=9m weights {place}.part")
    try:
        done = look.mirror(fleet=fleet)
    finally:
        look.run("gpu", f"umount {place}.part; rm -rf {place}.part")
    assert done.returncode == 1
    said = look.plain(done.stdout + done.stderr)
    assert re.search(r"\[gpu\].*tiny: the disk of \S+ is full\. Make room", said), said
    assert served() == before


def test_weights_that_are_not_whole_are_refused_before_the_switch(tmp_path: Path) -> None:
    """A path that others fill: the header of a file tells that it was cut."""
    fleet = look.variant(
        tmp_path, "weights: {push: ../.lab/weights/tiny}", "weights: {path: /srv/models/tiny}"
    )
    before = served()
    done = look.mirror(fleet=fleet)
    assert done.returncode == 1
    assert (
        "[gpu] skipped: there are no weights for 'tiny' at /srv/models/tiny. Put them there."
        in " ".join(look.plain(done.stdout + done.stderr).split())
    )
    look.run(
        "gpu",
        "mkdir -p /srv/models; cp -r /var/lib/mirrorfleet/weights/tiny-3f1c5f0d6b3a "
        "/srv/models/tiny; truncate -s -1 /srv/models/tiny/model.safetensors",
    )
    done = look.mirror(fleet=fleet)
    look.run("gpu", "rm -rf /srv/models")
    assert done.returncode == 1
    said = look.plain(done.stdout + done.stderr)
    assert re.search(r"model\.safetensors has \d+ bytes, and its header tells of \d+", said), said
    assert "the new generation is refused; what ran before runs on" in said
    assert served() == before
