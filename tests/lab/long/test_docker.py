"""Gateways in containers: Debian's Docker, and an image of an environment by the same lock file.

The image is packed here and never was in a registry; the vendor's own is not to be had in the lab.
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
VERSION = "  version: 1.106.2\n"
SOFTWARE = "echo /opt/mirrorfleet/litellm/environments/*"

pytestmark = pytest.mark.usefixtures("contained")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image as `docker save` packs it: a gateway's Python and its environment, no secret."""
    directory = tmp_path_factory.mktemp("image")
    environment = look.run("gw-1", SOFTWARE).strip()
    parts = f"bin lib lib64 sbin usr/bin usr/lib usr/lib64 etc/passwd etc/group {environment[1:]}"
    layer = directory / "layer.tar"
    # The directories themselves first: those that are not named, Docker makes for root alone.
    above = [str(path) for path in reversed(Path(environment[1:]).parents)]
    pack = f"tar -C / -c --no-recursion {' '.join(above)} usr etc --recursion {parts}"
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
    said = {config: configuration, "manifest.json": json.dumps(manifest).encode()}
    with tarfile.open(directory / "litellm.tar", "w") as tar, layer.open("rb") as file:
        for name, content in said.items():
            _add(tar, name, len(content), io.BytesIO(content))
        _add(tar, "layer.tar", layer.stat().st_size, file)
    layer.unlink()
    return directory / "litellm.tar"


def _add(tar: tarfile.TarFile, name: str, size: int, content: IO[bytes]) -> None:
    """Add a file without a time: the same content is to be the same archive."""
    entry = tarfile.TarInfo(name)
    entry.size = size
    tar.addfile(entry, content)


@pytest.fixture(scope="module")
def image(archive: Path) -> str:
    """What the fleet file says of it."""
    with archive.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return f"  runtime: docker\n  image: {{file: {archive}, sha256: {digest}}}\n"


def said(directory: Path, image: str, *more: str) -> Path:
    """The lab's fleet with its gateways in containers."""
    return look.variant(directory, VERSION, f"{VERSION}{image}{''.join(more)}")


@pytest.fixture(scope="module")
def contained(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """From systemd's runtime into containers, without a gap; afterwards back again, likewise."""
    with look.polling(look.answering_gateway, 0.2) as answers:
        done = look.mirror(fleet=said(tmp_path_factory.mktemp("first"), image))
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
    assert look.changes(look.mirror("--json", fleet=said(tmp_path, image))) == []


@pytest.mark.parametrize("host", look.GATEWAYS)
def test_the_container_is_one_that_can_do_little(host: str) -> None:
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
    assert look.mirror(fleet=said(tmp_path, image)).returncode == 0
    assert look.message("gw-1", key)[0] == 200
    assert look.run("gw-1", f"systemctl show -p InvocationID {UNIT}") == started


def test_a_change_goes_from_gateway_to_gateway_and_nobody_is_refused(
    image: str, tmp_path: Path
) -> None:
    before = {name: generation(name) for name in look.GATEWAYS}
    with look.polling(look.answering_gateway, 0.2) as answers:
        done = look.mirror(fleet=said(tmp_path, image, "  timeout: 300\n"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(answers) == {"gw-1", "gw-2"}
    assert all(generation(name) != before[name] for name in look.GATEWAYS)


def test_one_that_does_not_serve_goes_back(image: str, tmp_path: Path) -> None:
    before = generation("gw-1")
    with look.polling(look.answering_gateway, 0.2) as answers:
        done = look.mirror(fleet=said(tmp_path, image, "  port: 80\n"))
    assert done.returncode == 1
    assert "rolled back to" in done.stdout + done.stderr
    assert (generation("gw-1"), set(answers)) == (before, {"gw-1", "gw-2"})


def test_an_image_of_another_version_never_serves(image: str, tmp_path: Path) -> None:
    before = [generation(name) for name in look.GATEWAYS]
    fleet = said(tmp_path, image)
    fleet.write_text(fleet.read_text().replace(VERSION, "  version: 1.106.1\n"))
    done = look.mirror(fleet=fleet)
    assert done.returncode == 1
    told = done.stdout + done.stderr
    assert "the image holds 1.106.2, where gateway.version is 1.106.1" in told
    assert [generation(name) for name in look.GATEWAYS] == before


def test_whatever_ends_the_container_another_one_serves() -> None:
    """Its client killed, Docker restarted, the host rebooted."""
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


def test_a_gateway_that_leaves_takes_its_container_and_its_image_with_it(
    image: str, tmp_path: Path
) -> None:
    """And when it comes back, the archive takes no name away from an image of somebody's."""
    (tmp_path / "without").mkdir()
    (tmp_path / "with").mkdir()
    fleet = said(tmp_path / "without", image)
    fleet.write_text(fleet.read_text().replace("hosts: [gw-1, gw-2]", "hosts: [gw-1]"))
    assert look.mirror(fleet=fleet).returncode == 0
    assert (containers("gw-2"), look.run("gw-2", "docker images --quiet")) == ("", "")
    theirs = look.run("gw-2", "tar -C /etc -c hostname | docker import - lab/litellm:latest")
    assert look.mirror(fleet=said(tmp_path / "with", image)).returncode == 0
    assert serves("gw-2")
    named = look.run("gw-2", "docker images --no-trunc --format '{{.Repository}} {{.ID}}'")
    [ours] = set(named.splitlines()) - {f"lab/litellm {theirs.strip()}"}
    assert ours.startswith("mirrorfleet-litellm sha256:")
    look.run("gw-2", "docker image rm lab/litellm:latest")
