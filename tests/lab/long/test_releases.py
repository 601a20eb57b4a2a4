"""vLLM changes to another release and goes back: 0.31.0 beside 0.32.0, both of them the real one.

0.31.0 is no release that we support: its lock file comes with this test, in a copy of the project,
as somebody puts one there who has run `bin/lock vllm`.
"""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import look, paths

UNIT = "mirrorfleet-vllm-tiny.service"
VERSION = "    version: 0.32.0\n"
OTHER = "    version: 0.31.0\n"
ENVIRONMENTS = "/opt/mirrorfleet/vllm/environments"
LOCKS = Path(__file__).parent / "locks"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The project with a lock file more. Afterwards the lab is as it was."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("deploys", "inventories", "mirrorfleet", "roles", "schemas"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(paths.REPOSITORY / name, copy / name, symlinks=True, ignore=ignored)
    for name in (".lab", ".venv"):
        (copy / name).symlink_to(paths.REPOSITORY / name)
    shutil.copy(LOCKS / "0.31.0-cpu.txt", copy / "roles/vllm/locks")
    # What a run of this test that was cut has left.
    look.run("gpu", f"rm -rf {ENVIRONMENTS}/0.31.0-*; apt-get -qq purge --autoremove -y g++ 2>&1")
    yield copy
    done = look.mirror()
    assert done.returncode == 0, done.stdout + done.stderr


def run(
    project: Path, *edits: tuple[str, str], deploy: str = "mirror", options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a deploy of the copy, on the lab's fleet file with these edits."""
    text = look.FLEET.read_text("utf-8")
    for said, instead in edits:
        assert text.count(said) == 1
        text = text.replace(said, instead)
    (project / "inventories/lab.yml").write_text(text, "utf-8")
    command = [*look.command("-y", *options), "inventories/lab.py", f"deploys/{deploy}.py"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def version() -> str:
    """Which release answers on the engine's port; nothing if none does."""
    try:
        status, said = look.http_status("gpu", 8000, "/version")
    except OSError:
        return ""
    return str(json.loads(said)["version"]) if status == 200 else ""


def environments() -> list[str]:
    return re.findall(r"^0\.3\d\.0", look.run("gpu", f"ls {ENVIRONMENTS}"), re.M)


def serves(release: str) -> bool:
    """Is that the release, and does a turn come through the gateway?"""
    return version() == release and look.message("gw-1", look.secret("developers"))[0] == 200


def test_an_environment_that_cannot_be_built_leaves_what_serves(project: Path) -> None:
    """The host is to fetch for itself, and cannot reach the registry."""
    before = look.run("gpu", f"systemctl show -p InvocationID {UNIT}")
    look.run("gpu", "cp /etc/hosts /etc/hosts.before; echo 127.0.0.1 pypi.org >>/etc/hosts")
    try:
        done = run(project, (VERSION, OTHER), ("packages: controller", "packages: registry"))
    finally:
        look.run("gpu", "mv /etc/hosts.before /etc/hosts")
    said = " ".join(look.plain(done.stdout + done.stderr).split())
    assert done.returncode == 1
    assert re.search(r"\[gpu\].* https://pypi\.org/simple/", said), said
    assert re.search(r"/0\.31\.0-cpu-\w+ cannot be built; what ran before runs on\.", said), said
    assert "Correct the above, and run again" in said
    assert environments() == ["0.32.0"], "no torso"
    assert look.run("gpu", f"systemctl show -p InvocationID {UNIT}") == before
    assert serves("0.32.0")


def test_a_release_that_does_not_serve_gives_way_and_was_built_beside_the_one_that_does(
    project: Path,
) -> None:
    """Unlike 0.32.0, it compiles even where it is told not to, and the host has no compiler."""
    with look.polling(lambda: (time.time(), version()), 0.5) as answers:
        done = run(project, (VERSION, OTHER))
    said = look.plain(done.stdout + done.stderr)
    assert done.returncode == 1
    for told in (
        "InvalidCxxCompiler: No working C++ compiler found",
        "What to do: It compiles a part of itself on the host, which lacks a compiler",
        "rolled back to",
    ):
        assert re.search(rf"\[gpu\].*{re.escape(told)}", said), said
    assert "trust_remote_code" not in said, "what it was started with is no cause"
    assert serves("0.32.0")
    times = f"stat -c %.3Y {ENVIRONMENTS}/0.31.0-*/pyvenv.cfg {ENVIRONMENTS}/0.31.0-*/.complete"
    began, built = map(float, look.run("gpu", times).split())
    meanwhile = [release for when, release in answers if began < when < built]
    assert set(meanwhile) == {"0.32.0"}
    assert len(meanwhile) > 5
    assert look.changes(look.mirror("--json")) == []


def test_another_release_serves_when_the_host_has_what_it_said_to_lack(project: Path) -> None:
    install = "apt-get -qq install -y --no-install-recommends g++ python3-dev"
    look.run("gpu", f"apt-get -qq update && DEBIAN_FRONTEND=noninteractive {install}")
    done = run(project, (VERSION, OTHER))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Python environment" not in done.stdout + done.stderr, "it is there"
    assert serves("0.31.0")
    assert look.changes(run(project, (VERSION, OTHER), options=("--json",))) == []


def test_back_by_the_fleet_file_takes_the_environment_that_is_there(project: Path) -> None:
    done = look.mirror("--json")
    assert not any("environment" in each for each in look.changes(done))
    assert serves("0.32.0")
    assert environments() == ["0.31.0", "0.32.0"]
    assert look.changes(look.mirror("--json")) == []


def test_back_on_purpose(project: Path) -> None:
    back = ("--data", "service=vllm-tiny")
    done = run(project, deploy="rollback", options=back)
    assert done.returncode == 0, done.stdout + done.stderr
    assert serves("0.31.0")
    assert look.mirror().returncode == 0, "forward again"
    assert serves("0.32.0")


def test_an_environment_goes_with_the_last_generation_that_could_go_back_to_it(
    project: Path,
) -> None:
    for number in (4, 5):
        assert environments() == ["0.31.0", "0.32.0"]
        changed = (VERSION, f"{VERSION}    max_num_seqs: {number}\n")
        assert run(project, changed).returncode == 0
    assert environments() == ["0.32.0"]
