"""Failures with weights: a full disk, a lost hub, damaged files. The engine keeps serving.

The hub is a stand-in on another host of the lab. The real client of the engine's environment
downloads from it.
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
PUSHED = "weights: {push: ../.lab/weights/tiny}"
UNIT = "mirrorfleet-vllm-tiny.service"
PADDING = 40_000_000
"""Bytes of an additional file, which makes the download slow."""


@pytest.fixture(autouse=True)
def _engine_answers() -> Iterator[None]:
    """After each test, the engine must answer."""
    yield
    assert look.message("gw-1", look.secret("developers"))[0] == 200


@pytest.fixture(scope="module", autouse=True)
def _as_before() -> Iterator[None]:
    yield
    done = look.mirror()
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the lab's fleet file with weights from the hub."""
    directory = tmp_path_factory.mktemp("hub")
    path = look.variant(directory, PUSHED, f"weights: lab/tiny\n    revision: {REVISION}")
    path.write_text(f"{path.read_text('utf-8')}\nhub: {{url: '{HUB}'}}\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def hub() -> Iterator[None]:
    """Put the lab's weights and an additional file on the host of the hub."""
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
    """Start the hub with a speed in bytes per second; 0 is no limit."""
    look.run(
        "gw-2",
        "systemctl --quiet stop hub 2>/dev/null; systemctl reset-failed hub 2>/dev/null; "
        f"systemd-run --quiet --unit=hub python3 /srv/hub.py /srv/hub 0.0.0.0 8088 {speed}; "
        "until ss -Hltn | grep -q :8088; do sleep 0.1; done",
    )


def directory_of(fleet: Path) -> str:
    """Return the directory for the weights of a fleet, from a dry run."""
    output = look.plain(look.mirror("--dry", fleet=fleet).stderr)
    found = re.search(r"(/var/lib/mirrorfleet/weights/tiny-\w+) is missing", output)
    assert found, output
    return found[1]


def invocation() -> str:
    """Return the invocation ID of the engine."""
    return look.run("gpu", f"systemctl show -p InvocationID {UNIT}")


@pytest.mark.usefixtures("hub")
def test_no_room_for_a_download(fleet: Path) -> None:
    serve(0)
    before, directory = invocation(), directory_of(fleet)
    look.run(
        "gpu", f"mkdir -p {directory}.part; mount -t tmpfs -o size=9m weights {directory}.part"
    )
    try:
        done = look.mirror(fleet=fleet)
    finally:
        look.run("gpu", f"umount {directory}.part")
    assert done.returncode == 1
    output = look.plain(done.stdout + done.stderr)
    assert re.search(r"\[gpu\].*tiny: the download needs another 0\.04 GB, but the disk", output), (
        output
    )
    assert "remove_weights.py" in output
    assert invocation() == before


@pytest.mark.usefixtures("hub")
def test_a_hub_that_stops_during_a_download(fleet: Path) -> None:
    serve(8_000_000)
    before, directory = invocation(), directory_of(fleet)
    padding = f"{directory}.part/padding.dat"
    command = look.command("-y", str(fleet.with_suffix(".py")), "deploys/mirror.py")
    with subprocess.Popen(
        command, cwd=paths.REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        size = f"stat -c %s {padding} 2>/dev/null || echo 0"
        while int(look.run("gpu", size)) < 10_000_000:
            assert run.poll() is None
            time.sleep(0.2)
        look.run("gw-2", "systemctl --quiet stop hub")
        output = look.plain(run.communicate()[0])
    assert run.returncode == 1
    assert re.search(
        rf"\[gpu\].*tiny: {HUB} cannot be reached, or the connection breaks", look.plain(output)
    ), output
    assert invocation() == before

    arrived = int(look.run("gpu", size))
    serve(0)
    with look.journal("gw-2", "-u", "hub") as requests:
        done = look.mirror(fleet=fleet)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"padding.dat from {arrived}" in requests
    assert invocation() != before
    content = (paths.ACCESS / "weights/tiny/model.safetensors").read_bytes()
    found = look.run("gpu", f"sha256sum {directory}/model.safetensors")
    assert found.split()[0] == hashlib.sha256(content).hexdigest()


@pytest.mark.usefixtures("hub")
def test_a_truncated_file_is_downloaded_alone(fleet: Path) -> None:
    directory = look.run("gpu", "ls -d /var/lib/mirrorfleet/weights/tiny-3f1c5f0d6b3a").strip()
    before = invocation()
    look.run("gpu", f"truncate -s 1000 {directory}/model.safetensors; rm {directory}/config.json")
    with look.journal("gw-2", "-u", "hub") as requests:
        done = look.mirror(fleet=fleet)
    output = look.plain(done.stdout + done.stderr)
    assert f"{directory}: config.json, model.safetensors are missing or truncated" in output
    assert done.returncode == 0, output
    assert sorted(requests) == ["config.json from 0", "model.safetensors from 0"]
    assert invocation() == before
    assert look.changes(look.mirror("--json", fleet=fleet)) == []


@pytest.mark.usefixtures("hub")
def test_verify_weights_finds_other_bytes_and_a_run_repairs_them(fleet: Path) -> None:
    directory = "/var/lib/mirrorfleet/weights/tiny-3f1c5f0d6b3a"
    before = invocation()
    flip = "bs=1 seek=99999 conv=notrunc status=none"
    look.run("gpu", f"printf '\\377' | dd of={directory}/model.safetensors {flip}")
    assert look.changes(look.mirror("--json", fleet=fleet)) == []
    done = look.pyinfra("-y", str(fleet.with_suffix(".py")), "deploys/verify_weights.py")
    assert done.returncode == 1
    assert "model.safetensors has another content than when it was uploaded" in look.plain(
        done.stdout + done.stderr
    )
    assert look.mirror(fleet=fleet).returncode == 0
    done = look.pyinfra("-y", str(fleet.with_suffix(".py")), "deploys/verify_weights.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert invocation() == before


def test_no_room_for_an_upload(tmp_path: Path) -> None:
    source = tmp_path / "weights"
    source.mkdir()
    for file in (paths.ACCESS / "weights/tiny").iterdir():
        (source / file.name).write_bytes(file.read_bytes())
    (source / "padding.dat").write_bytes(bytes(PADDING))
    fleet = look.variant(tmp_path, PUSHED, f"weights: {{push: {source}}}")
    before, directory = invocation(), directory_of(fleet)
    look.run(
        "gpu", f"mkdir -p {directory}.part; mount -t tmpfs -o size=9m weights {directory}.part"
    )
    try:
        done = look.mirror(fleet=fleet)
    finally:
        look.run("gpu", f"umount {directory}.part; rm -rf {directory}.part")
    assert done.returncode == 1
    output = look.plain(done.stdout + done.stderr)
    assert re.search(r"\[gpu\].*tiny: the disk of \S+ is full: free space there", output), output
    assert invocation() == before


def test_incomplete_weights_are_refused_before_the_switch(tmp_path: Path) -> None:
    """Weights at a path of the host: the header of a file shows that the file is truncated."""
    fleet = look.variant(tmp_path, PUSHED, "weights: {path: /srv/models/tiny}")
    before = invocation()
    done = look.mirror(fleet=fleet)
    assert done.returncode == 1
    assert "[gpu] skipped: no weights for 'tiny' at /srv/models/tiny. Copy them there." in " ".join(
        look.plain(done.stdout + done.stderr).split()
    )
    look.run(
        "gpu",
        "mkdir -p /srv/models; cp -r /var/lib/mirrorfleet/weights/tiny-3f1c5f0d6b3a "
        "/srv/models/tiny; truncate -s -1 /srv/models/tiny/model.safetensors",
    )
    done = look.mirror(fleet=fleet)
    look.run("gpu", "rm -rf /srv/models")
    assert done.returncode == 1
    output = look.plain(done.stdout + done.stderr)
    assert re.search(r"model\.safetensors has \d+ bytes, but its header requires \d+", output), (
        output
    )
    assert "the new generation failed its check; the running one is unaffected" in output
    assert invocation() == before
