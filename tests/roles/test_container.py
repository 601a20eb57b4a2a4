"""Tests of gateways in containers: the real scripts, with a stand-in for Docker's client."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.api.exceptions import DeployError

from mirrorfleet.config import Image
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.litellm import container, software
from mirrorfleet.roles.litellm.facts import DockerImage
from mirrorfleet.roles.litellm.files import check_image
from mirrorfleet.roles.litellm.role import Litellm
from mirrorfleet.runtime import service_removal
from mirrorfleet.runtime.commands import script
from mirrorfleet.runtime.facts import Disk, Exists
from mirrorfleet.runtime.observe import assumed
from tests.roles.answers import bare, converged, observation_of, services, with_values
from tests.roles.conftest import Planned
from tests.roles.fleets import SECRETS, edit
from tests.roles.machine import Machine
from tests.roles.problems import texts

# A stand-in for Docker's client: each file in images/ is an image, with its id as content, and
# docker.log lists the commands that change something. An archive has lines of a name and an id.
DOCKER = """\
[ "$1 $2" = 'image inspect' ] || [ "$1" = images ] || echo "docker $*" >>"$ROOT/docker.log"
mkdir -p "$ROOT/images"
cd "$ROOT/images"
case "$1 $2" in
    'images --no-trunc') for name in *; do [ ! -e "$name" ] || echo "$name $(cat "$name")"; done ;;
    'load --input')
        while read -r name id; do
            [ "$name" = none ] || echo "$id" >"$name"
            [ "$name" = none ] && echo "Loaded image ID: $id" || echo "Loaded image: $name"
        done <"$OLDPWD/$3"
        ;;
    'image inspect')
        shift 2; [ "$1" != --format ] || shift 2
        for name do case $name in sha256:*) echo "$name" ;; *) cat "$name" ;; esac; done
        ;;
    'tag '*) echo "$2" >"$3" ;;
    'image rm') rm -f "$3" ;;
    'run '*) env >"$ROOT/environment" ;;
esac
"""
PULLED = Image(name=f"registry.example.com/litellm@sha256:{'5f' * 32}")


@pytest.fixture
def host(machine: Machine) -> Machine:
    machine.add("docker", DOCKER)
    return machine


@pytest.fixture
def plan(plans: Planned) -> HostPlan:
    return plans("docker").hosts["gw"]


def image_of(plan: HostPlan) -> Image:
    assert plan.gateway and plan.gateway.image
    return plan.gateway.image


def docker_calls(host: Machine) -> list[str]:
    log = host.root / "docker.log"
    return log.read_text().splitlines() if log.exists() else []


def images(host: Machine) -> dict[str, str]:
    """Return the id of each image that Docker has, by its name."""
    return {path.name: path.read_text().strip() for path in host.at("/images").iterdir()}


def installed_images(host: Machine) -> list[str]:
    images = host.at(container.IMAGES)
    return [path.read_text().strip() for path in images.iterdir()] if images.exists() else []


def run(host: Machine, commands: Iterable[PyinfraCommand], archive: str = "") -> str:
    """Run the scripts on a host that received the archive; return the standard error."""
    inbox = host.at("/var/lib/mirrorfleet/inbox")
    for command in commands:
        if isinstance(command, StringCommand):
            result = host.run(command)
            assert (result.returncode == 0) == (result.stderr == "")
            if result.stderr:
                return result.stderr
        else:
            (inbox / Path(command.dest).name).write_text(archive)  # type: ignore[attr-defined]
    return ""


def test_an_image_from_an_archive_gets_a_name_with_its_digest(
    host: Machine, project: Path, plan: HostPlan
) -> None:
    image = image_of(plan)
    for archive in ("litellm:latest sha256:a1\nlitellm:1 sha256:a1\n", "none sha256:a1\n"):
        (project / "release.tar.zst").write_text(archive)
        assert run(host, container.install(image, assumed()), archive) == ""
        assert images(host) == {image.reference: "sha256:a1"}
        assert installed_images(host) == [image.reference]
    assert not list(container.install(image, assumed({DockerImage(image.reference): True})))


def test_loading_an_archive_moves_no_other_name(
    host: Machine, project: Path, plan: HostPlan
) -> None:
    image = image_of(plan)
    former = {"litellm:latest": "sha256:b2", "litellm:mine": "sha256:a1"}
    host.at("/images").mkdir()
    for name, identity in former.items():
        (host.at("/images") / name).write_text(f"{identity}\n")
    archive = "litellm:latest sha256:a1\nlitellm:mine sha256:a1\n"
    (project / "release.tar.zst").write_text(archive)
    assert run(host, container.install(image, assumed()), archive) == ""
    assert images(host) == {**former, image.reference: "sha256:a1"}


def test_an_archive_without_exactly_one_image_is_refused(
    host: Machine, project: Path, plan: HostPlan
) -> None:
    for archive in ("one:1 sha256:a1\ntwo:2 sha256:b2\n", ""):
        (project / "release.tar.zst").write_text(archive)
        message = run(host, container.install(image_of(plan), assumed()), archive)
        assert "the archive must hold one image; Docker printed: " in message
        assert (images(host), installed_images(host)) == ({}, [])


def test_an_image_from_a_registry_is_pulled_by_its_digest(host: Machine) -> None:
    assert run(host, container.install(PULLED, assumed())) == ""
    assert docker_calls(host) == [f"docker pull --quiet {PULLED.name}"]
    assert installed_images(host) == [PULLED.name]


def test_an_archive_that_is_missing_or_has_another_digest_is_not_sent(
    project: Path, plan: HostPlan
) -> None:
    (project / "release.tar.zst").write_text("evil")
    with pytest.raises(DeployError, match="is not the expected image: its sha256 is b5c1"):
        Litellm().fetch(plan, observation_of(bare(plan)))
    (project / "release.tar.zst").unlink()
    with pytest.raises(DeployError, match=r"release.tar.zst: No such file or directory"):
        Litellm().fetch(plan, observation_of(bare(plan)))


def test_images_that_no_generation_uses_are_removed(host: Machine) -> None:
    directory = host.at("/opt/mirrorfleet/litellm/generations/1")
    directory.mkdir(parents=True)
    (directory / "container.sh").write_text("exec docker run current@sha256:1 --port=4000\n")
    images = host.at(container.IMAGES)
    images.mkdir()
    for name in ("current", "former"):
        (images / name).write_text(f"{name}@sha256:1\n")
    current = host.at("/opt/mirrorfleet/litellm/current")
    current.symlink_to("generations/1")
    tidy = script(f"cd /opt/mirrorfleet/litellm; set +e\n{container.HOOKS}tidy; true\n")
    assert run(host, [tidy]) == ""
    assert docker_calls(host) == ["docker image rm former@sha256:1"]
    assert installed_images(host) == ["current@sha256:1"]
    # If the gateway runs from a lock file's environment again, the old container is removed.
    current.unlink()
    assert run(host, [tidy]) == ""
    assert docker_calls(host)[1:] == ["docker rm --force mirrorfleet-litellm"]


def test_the_image_of_a_removed_gateway_is_removed(
    host: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_removal, "after_dependents", iter)
    host.add("systemctl", '[ "$2" != is-active ]')
    host.at(container.IMAGES).mkdir(parents=True)
    (host.at(container.IMAGES) / "one").write_text("one@sha256:1\n")
    assert run(host, service_removal.remove(["litellm"])) == ""
    assert docker_calls(host) == [
        "docker rm --force mirrorfleet-litellm",
        "docker image rm one@sha256:1",
    ]
    assert not host.at("/opt/mirrorfleet/litellm").exists()


def test_missing_software_is_reported_and_an_installed_docker_is_used(plan: HostPlan) -> None:
    found = observation_of(bare(plan))
    changes = [change.what for change in Litellm().changes(plan, found)]
    assert {"package docker.io is missing", "image mirrorfleet-litellm:5fd7bdc9e87f is missing"} < {
        *changes
    }
    with_docker = with_values(found, {Exists(container.DOCKER): True})
    assert not any("docker.io" in change.what for change in Litellm().changes(plan, with_docker))
    # In Debian 13, the client is a separate package.
    debian_13 = with_values(found, {}, release="13")
    assert software.packages(plan.gateway, debian_13)[-2:] == ("docker.io", "docker-cli")  # type: ignore[arg-type]


def test_a_disk_without_space_for_the_image_is_refused(plan: HostPlan) -> None:
    found = with_values(observation_of(bare(plan)), {Disk(container.STORE): 10**8})
    assert texts(Litellm().problems(plan, found)) == [
        "LiteLLM's image needs at least 0.70 GB below /var/lib/docker, and 0.10 GB are free. "
        "Make room there."
    ]


def test_the_images_of_a_host_are_observed(host: Machine) -> None:
    (host.root / "images").mkdir()
    (host.root / "images/one:1").touch()
    one, two = DockerImage("one:1"), DockerImage("two:2")
    assert host.observe(one, two).values == {one: True, two: False}


def test_a_container_mounts_the_generation_and_its_command_has_no_secret(
    host: Machine, plan: HostPlan
) -> None:
    [service] = services(plan)
    directory = host.root / "generation"
    directory.mkdir()
    for member in service.members():
        text = member.content.decode().replace("/run/mirrorfleet", str(host.root / "run"))
        (directory / member.name).write_text(text.replace("mirrorfleet-litellm\n", "root\n"))
    (host.root / "current").symlink_to("generation")
    serve = "set -a && . ./environment && sh {}/container.sh {}"
    assert run(host, [script(f"cd {host.root}/current && {serve.format('.', 'check')}")]) == ""
    current = f"{host.root}/current"
    assert run(host, [script(f"cd {current} && {serve.format(current, 'serve')}")]) == ""
    check, served = docker_calls(host)
    for command in (check, served):
        assert f"--volume={directory}:/opt/mirrorfleet/litellm/current:ro" in command
        assert SECRETS["LITELLM_MASTER_KEY"] not in command
    assert check.endswith(
        "--entrypoint=python3 mirrorfleet-litellm:5fd7bdc9e87f check_image.py check_config.py"
    )
    assert "--entrypoint=litellm mirrorfleet-litellm:5fd7bdc9e87f --config=" in served
    # Docker's client has the variables that it passes by name.
    environment = (host.root / "environment").read_text()
    assert f"LITELLM_MASTER_KEY={SECRETS['LITELLM_MASTER_KEY']}" in environment
    assert " --env=LITELLM_MASTER_KEY " in served


def test_another_image_makes_another_generation(
    plans: Planned, project: Path, plan: HostPlan
) -> None:
    found = observation_of(converged(plan))
    assert not list(Litellm().changes(plan, found))
    edit(project, "docker", "sha256: 5f", "sha256: 6f")
    changes = [change.what for change in Litellm().changes(plans("docker").hosts["gw"], found)]
    assert changes == [
        "image mirrorfleet-litellm:6fd7bdc9e87f is missing",
        "litellm: container.sh differs",
        "mirrorfleet-litellm.service will be restarted",
    ]


@pytest.mark.parametrize(
    ("versions", "messages"),
    [
        ({"litellm": {"1.106.12"}, "starlette": {"1.10.0"}}, []),
        ({}, ["holds no LiteLLM, but gateway.version is 1.106.12"]),
        ({"litellm": {"1.82.7"}}, [
            "holds 1.82.7, but gateway.version is 1.106.12",
            "holds litellm 1.82.7: GHSA-69x8-hrgq-fjj8 "
            "(password hashes are shown, and accepted as passwords)",
            "holds litellm 1.82.7: MAL-2026-2144 (a malicious release that steals credentials)",
        ]),
        ({"litellm": {"1.106.12"}, "h11": {"0.14.0", "0.16.0"}}, [
            "holds h11 0.14.0: CVE-2025-43859 (requests can be smuggled past a proxy)"
        ]),
    ],
    ids=["good", "no LiteLLM", "malicious", "vulnerable"],
)  # fmt: skip
def test_an_image_with_the_wrong_contents_is_refused(
    plan: HostPlan, versions: dict[str, set[str]], messages: list[str]
) -> None:
    assert plan.gateway
    expected = json.loads(json.dumps(container.expected(plan.gateway)))
    faults = list(check_image.faults(expected, versions))
    assert [fault for fault in faults if "CVE-2026" not in fault] == messages
