"""Ollama's release on a host: the real scripts, and an archive with the real layout."""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.ollama import OllamaPlan
from mirrorfleet.roles.ollama import release
from mirrorfleet.roles.ollama.render import USER
from mirrorfleet.runtime.facts import Exists
from mirrorfleet.runtime.observe import assumed
from tests.roles.answers import MACHINE, observation_of
from tests.roles.machine import Machine
from tests.roles.ollama_host import HELPER, OllamaHost
from tests.standins import ollama as standin

pytestmark = pytest.mark.skipif(not shutil.which("zstd"), reason="needs zstd")

FOUND = observation_of(MACHINE)


@pytest.fixture
def host(machine: Machine) -> OllamaHost:
    return OllamaHost(machine)


@pytest.fixture
def packed(tmp_path: Path) -> tuple[Path, str]:
    """Return an archive of the stand-in, and its SHA-256."""
    path = tmp_path / "served/ollama.tar.zst"
    path.parent.mkdir()
    return path, standin.archive(path, "0.40.1")


def planned(host: OllamaHost, version: str, **config: Any) -> HostPlan:
    return host.plan(helper={**HELPER, "version": version, "release": config})


def releases(host: OllamaHost) -> list[str]:
    return [path.name for path in host.machine.at(release.RELEASES).iterdir()]


def test_it_is_unpacked_under_its_version_and_digest(
    host: OllamaHost, packed: tuple[Path, str]
) -> None:
    path, digest = packed
    plan = planned(host, "0.40.1", file=str(path), sha256=digest)
    done = host.run(release.install(plan, FOUND, USER))
    assert (done.returncode, done.stderr) == (0, "")
    assert releases(host) == [f"0.40.1-{digest[:8]}"]
    [ollama] = plan.engines_of(OllamaPlan)
    program = release.binary(ollama, release.chosen(ollama, FOUND))
    assert host.machine.at(program).stat().st_mode & 0o777 == 0o755
    assert (
        list(release.install(plan, assumed({Exists(program): True}, architecture="x86_64"), USER))
        == []
    )


def test_an_archive_of_another_version_is_rejected(
    host: OllamaHost, packed: tuple[Path, str]
) -> None:
    path, digest = packed
    plan = planned(host, "0.40.10", file=str(path), sha256=digest)
    done = host.run(release.install(plan, FOUND, USER))
    assert done.returncode == 1
    assert (
        "does not hold Ollama 0.40.10; it reports: Warning: client version is 0.40.1" in done.stderr
    )
    assert releases(host) == []


@pytest.fixture
def mirror(packed: tuple[Path, str]) -> Iterator[str]:
    """Serve the archive by HTTP, and yield its URL."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def address_string(self) -> str:
            return "a client"

    handler = partial(Quiet, directory=str(packed[0].parent))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/ollama.tar.zst"
    server.shutdown()
    server.server_close()


def test_a_host_downloads_it(host: OllamaHost, packed: tuple[Path, str], mirror: str) -> None:
    plan = planned(host, "0.40.1", url=mirror, sha256=packed[1])
    done = host.run(release.install(plan, FOUND, USER))
    assert (done.returncode, done.stderr) == (0, "")
    assert releases(host) == [f"0.40.1-{packed[1][:8]}"]


def test_a_download_with_another_digest_is_rejected(
    host: OllamaHost, packed: tuple[Path, str], mirror: str
) -> None:
    packed[0].write_bytes(b"evil")
    plan = planned(host, "0.40.1", url=mirror, sha256=packed[1])
    done = host.run(release.install(plan, FOUND, USER))
    assert done.returncode != 0
    assert "computed checksum did NOT match" in done.stderr
    assert not host.machine.at(release.RELEASES).exists()


def test_a_release_of_two_archives(host: OllamaHost, packed: tuple[Path, str], mirror: str) -> None:
    """The second one is unpacked over the first, and only then the release gets its name."""
    path, digest = packed
    second = path.parent / "mlx.tar.zst"
    also = {"sha256": standin.part(second, mlx="a library", **{"libggml-base.so": "another"})}
    alone = planned(host, "0.40.1", file=str(path), sha256=digest)
    assert host.run(release.install(alone, FOUND, USER)).returncode == 0
    for place in ({"file": str(second)}, {"url": mirror.replace("ollama.tar", "mlx.tar")}):
        both = planned(host, "0.40.1", file=str(path), sha256=digest, also=[{**also, **place}])
        [ollama] = both.engines_of(OllamaPlan)
        directory = host.machine.at(release.directory(ollama, release.chosen(ollama, FOUND)))
        done = host.run(release.install(both, FOUND, USER))
        assert (done.returncode, done.stderr) == (0, "")
        libraries = directory / "lib/ollama"
        assert (libraries / "mlx").read_text() == "a library"
        assert (libraries / "libggml-base.so").read_text() == "another"
        assert len(releases(host)) == 2, "that of the first archive alone stays for a rollback"
        shutil.rmtree(directory)


def test_a_second_archive_with_another_digest_leaves_no_release(
    host: OllamaHost, packed: tuple[Path, str], mirror: str
) -> None:
    path, digest = packed
    standin.part(path.parent / "mlx.tar.zst", mlx="a library")
    url = mirror.replace("ollama.tar", "mlx.tar")
    also = [{"url": url, "sha256": "0" * 64}]
    plan = planned(host, "0.40.1", file=str(path), sha256=digest, also=also)
    [ollama] = plan.engines_of(OllamaPlan)
    done = host.run(release.install(plan, FOUND, USER))
    assert done.returncode != 0
    assert "computed checksum did NOT match" in done.stderr
    assert not host.machine.at(release.binary(ollama, release.chosen(ollama, FOUND))).exists()
    # The next run begins again.
    also[0]["sha256"] = sha256((path.parent / "mlx.tar.zst").read_bytes()).hexdigest()
    plan = planned(host, "0.40.1", file=str(path), sha256=digest, also=also)
    assert host.run(release.install(plan, FOUND, USER)).returncode == 0
