"""Gateways in containers: Debian's Docker, and an image of an environment from the same lock file.

The test builds the image, because the lab cannot pull the vendor's.
"""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import tarfile
import time
from collections.abc import Iterator
from hashlib import file_digest, sha256
from pathlib import Path
from typing import IO

import pytest

from tests.lab import keys, look

UNIT = "mirrorfleet-litellm.service"
VERSION = "  version: 1.106.12\n"
SOFTWARE = "echo /opt/mirrorfleet/litellm/environments/*"

pytestmark = pytest.mark.usefixtures("contained")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build an image in the format of `docker save`, with a gateway's Python and environment."""
    directory = tmp_path_factory.mktemp("image")
    environment = look.run("gw-1", SOFTWARE).strip()
    parts = f"bin lib lib64 sbin usr/bin usr/lib usr/lib64 etc/passwd etc/group {environment[1:]}"
    layer = directory / "layer.tar"
    # Docker creates missing parent directories for root only, so add them first.
    parents = [str(path) for path in reversed(Path(environment[1:]).parents)]
    pack = f"tar -C / -c --no-recursion {' '.join(parents)} usr etc --recursion {parts}"
    with layer.open("wb") as file:
        subprocess.run(
            keys.ssh("gw-1", ["sudo", "sh", "-c", shlex.quote(pack)]), stdout=file, check=True
        )
    with layer.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    configuration = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": [f"PATH={environment}/bin:/usr/bin:/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    config = f"{sha256(configuration).hexdigest()}.json"
    manifest = [{"Config": config, "RepoTags": ["lab/litellm:latest"], "Layers": ["layer.tar"]}]
    files = {config: configuration, "manifest.json": json.dumps(manifest).encode()}
    with tarfile.open(directory / "litellm.tar", "w") as tar, layer.open("rb") as file:
        for name, content in files.items():
            _add(tar, name, len(content), io.BytesIO(content))
        _add(tar, "layer.tar", layer.stat().st_size, file)
    layer.unlink()
    return directory / "litellm.tar"


def _add(tar: tarfile.TarFile, name: str, size: int, content: IO[bytes]) -> None:
    """Add a file without a time, so that the same content gives the same archive."""
    entry = tarfile.TarInfo(name)
    entry.size = size
    tar.addfile(entry, content)


@pytest.fixture(scope="module")
def image(archive: Path) -> str:
    """Return the keys of the fleet file for the image."""
    with archive.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return f"  runtime: docker\n  image: {{file: {archive}, sha256: {digest}}}\n"


def fleet_with(directory: Path, image: str, *more: str) -> Path:
    """Write the lab's fleet file with gateways in containers."""
    return look.variant(directory, VERSION, f"{VERSION}{image}{''.join(more)}")


@pytest.fixture(scope="module")
def contained(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Move the gateways into containers and back, without a failed request."""
    with look.polling(look.answering_gateway, 0.2) as answers:
        done = look.mirror(fleet=fleet_with(tmp_path_factory.mktemp("first"), image))
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(answers) == {"gw-1", "gw-2"}
    yield
    with look.polling(look.answering_gateway, 0.2) as answers:
        done = look.mirror()
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(answers) == {"gw-1", "gw-2"}
    assert [containers(name) for name in look.GATEWAYS] == ["", ""]


def containers(host: str) -> str:
    return look.run(host, "docker ps --all --format '{{.Names}} {{.Image}}'")


def generation(host: str) -> str:
    return look.run(host, "readlink /opt/mirrorfleet/litellm/current")


def test_the_next_run_changes_nothing(image: str, tmp_path: Path) -> None:
    assert look.changes(look.mirror("--json", fleet=fleet_with(tmp_path, image))) == []


@pytest.mark.parametrize("host", look.GATEWAYS)
def test_the_container_is_sandboxed(host: str) -> None:
    assert containers(host).startswith("mirrorfleet-litellm mirrorfleet-litellm:")
    [found] = json.loads(look.run(host, "docker inspect mirrorfleet-litellm"))
    settings = found["HostConfig"]
    assert settings["ReadonlyRootfs"]
    assert settings["CapDrop"] == ["ALL"]
    assert settings["NetworkMode"] == "host"
    ids = look.run(host, "id -u mirrorfleet-litellm; id -g mirrorfleet-litellm").split()
    assert found["Config"]["User"] == ":".join(ids)
    process = f"/proc/{found['State']['Pid']}"
    status = look.run(host, f"cat {process}/status")
    assert {"NoNewPrivs:\t1", f"CapBnd:\t{0:016x}", "Seccomp:\t2"} <= set(status.splitlines())
    assert "mirrorfleet-litellm.service.slice" in look.run(host, f"cat {process}/cgroup")
    secrets = [look.secret(name) for name in ("engine", "master")]
    assert not any(secret in line for line in look.processes() for secret in secrets)


def test_keys_change_without_a_restart(image: str, tmp_path: Path) -> None:
    started = look.run("gw-1", f"systemctl show -p InvocationID {UNIT}")
    key = look.secret("developers")
    keyring = "/opt/mirrorfleet/litellm/keys/keys.json"
    look.run("gw-1", f"cp -p {keyring} /root/keys.json; echo '{{}}' >{keyring}.new; "
             f"chgrp mirrorfleet-litellm {keyring}.new; chmod 640 {keyring}.new; "
             f"mv {keyring}.new {keyring}")  # fmt: skip
    assert look.message("gw-1", key)[0] in (401, 503)
    assert look.mirror(fleet=fleet_with(tmp_path, image)).returncode == 0
    assert look.message("gw-1", key)[0] == 200
    assert look.run("gw-1", f"systemctl show -p InvocationID {UNIT}") == started


def test_a_change_rolls_through_the_gateways_without_a_failed_request(
    image: str, tmp_path: Path
) -> None:
    before = {name: generation(name) for name in look.GATEWAYS}
    with look.polling(look.answering_gateway, 0.2) as answers:
        done = look.mirror(fleet=fleet_with(tmp_path, image, "  timeout: 300\n"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(answers) == {"gw-1", "gw-2"}
    assert all(generation(name) != before[name] for name in look.GATEWAYS)


def test_a_container_that_does_not_serve_is_rolled_back(image: str, tmp_path: Path) -> None:
    before = generation("gw-1")
    with look.polling(look.answering_gateway, 0.2) as answers:
        done = look.mirror(fleet=fleet_with(tmp_path, image, "  port: 80\n"))
    assert done.returncode == 1
    assert "rolled back to" in done.stdout + done.stderr
    assert (generation("gw-1"), set(answers)) == (before, {"gw-1", "gw-2"})


def test_an_image_of_another_version_never_serves(image: str, tmp_path: Path) -> None:
    before = [generation(name) for name in look.GATEWAYS]
    fleet = fleet_with(tmp_path, image)
    fleet.write_text(fleet.read_text().replace(VERSION, "  version: 1.106.11\n"))
    done = look.mirror(fleet=fleet)
    assert done.returncode == 1
    output = done.stdout + done.stderr
    assert "the image holds 1.106.12, but gateway.version is 1.106.11" in output
    assert [generation(name) for name in look.GATEWAYS] == before


def test_a_container_starts_again_after_failures() -> None:
    """After a kill of its client, a restart of Docker, and a reboot of the host."""
    client = f"kill -9 $(systemctl show -p MainPID --value {UNIT})"
    for command in (client, "systemctl restart docker", "systemctl reboot"):
        before = look.run("gw-2", "docker inspect -f '{{.Id}}' mirrorfleet-litellm")
        subprocess.run(keys.ssh("gw-2", ["sudo", "sh", "-c", shlex.quote(command)]), check=False)
        for _ in range(60):
            time.sleep(2)
            if serves("gw-2"):
                break
        assert serves("gw-2"), command
        assert look.run("gw-2", "docker inspect -f '{{.Id}}' mirrorfleet-litellm") != before


def serves(host: str) -> bool:
    try:
        return look.http_status(host, 4000, "/health/readiness")[0] == 200
    except OSError:
        return False


def test_a_removed_gateway_is_removed_with_its_container_and_image(
    image: str, tmp_path: Path
) -> None:
    """When it is added again, its archive does not take the name of another image."""
    (tmp_path / "without").mkdir()
    (tmp_path / "with").mkdir()
    fleet = fleet_with(tmp_path / "without", image)
    fleet.write_text(fleet.read_text().replace("hosts: [gw-1, gw-2]", "hosts: [gw-1]"))
    assert look.mirror(fleet=fleet).returncode == 0
    assert (containers("gw-2"), look.run("gw-2", "docker images --quiet")) == ("", "")
    other = look.run("gw-2", "tar -C /etc -c hostname | docker import - lab/litellm:latest")
    assert look.mirror(fleet=fleet_with(tmp_path / "with", image)).returncode == 0
    assert serves("gw-2")
    named = look.run("gw-2", "docker images --no-trunc --format '{{.Repository}} {{.ID}}'")
    [own] = set(named.splitlines()) - {f"lab/litellm {other.strip()}"}
    assert own.startswith("mirrorfleet-litellm sha256:")
    look.run("gw-2", "docker image rm lab/litellm:latest")
