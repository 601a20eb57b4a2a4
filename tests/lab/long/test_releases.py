"""vLLM changes to another release and back: the real 0.31.0 beside the real 0.32.0.

0.31.0 is not a supported release: its lock file comes with this test, as if by `mirrorfleet lock`
in a repository of a fleet.
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
    """Copy the project and add a lock file; restore the lab at the end."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("deploys", "inventories", "mirrorfleet", "roles", "schemas"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(paths.REPOSITORY / name, copy / name, symlinks=True, ignore=ignored)
    for name in (".lab", ".venv"):
        (copy / name).symlink_to(paths.REPOSITORY / name)
    (copy / "locks/vllm").mkdir(parents=True)
    shutil.copy(LOCKS / "0.31.0-cpu.txt", copy / "locks/vllm")
    # Remove what an interrupted run of this test left.
    look.run("gpu", f"rm -rf {ENVIRONMENTS}/0.31.0-*; apt-get -qq purge --autoremove -y g++ 2>&1")
    yield copy
    done = look.mirror()
    assert done.returncode == 0, done.stdout + done.stderr


def run(
    project: Path, *edits: tuple[str, str], deploy: str = "mirror", options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a deploy of the copy on the lab's fleet file, with some texts replaced."""
    text = look.FLEET.read_text("utf-8")
    for old, new in edits:
        assert text.count(old) == 1
        text = text.replace(old, new)
    (project / "inventories/lab.yml").write_text(text, "utf-8")
    command = [*look.command("-y", *options), "inventories/lab.py", f"deploys/{deploy}.py"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def version() -> str:
    """Return the release that answers on the engine's port, "" for no answer."""
    try:
        status, reply = look.http_status("gpu", 8000, "/version")
    except OSError:
        return ""
    return str(json.loads(reply)["version"]) if status == 200 else ""


def environments() -> list[str]:
    return re.findall(r"^0\.3\d\.0", look.run("gpu", f"ls {ENVIRONMENTS}"), re.M)


def serves(release: str) -> bool:
    """Return whether this release runs and answers through the gateway."""
    return version() == release and look.message("gw-1", look.secret("developers"))[0] == 200


def test_a_failed_build_of_an_environment_does_not_touch_the_running_one(project: Path) -> None:
    """The host downloads packages itself, and cannot reach the registry."""
    before = look.run("gpu", f"systemctl show -p InvocationID {UNIT}")
    look.run("gpu", "cp /etc/hosts /etc/hosts.before; echo 127.0.0.1 pypi.org >>/etc/hosts")
    try:
        done = run(project, (VERSION, OTHER), ("packages: controller", "packages: registry"))
    finally:
        look.run("gpu", "mv /etc/hosts.before /etc/hosts")
    output = " ".join(look.plain(done.stdout + done.stderr).split())
    assert done.returncode == 1
    assert re.search(r"\[gpu\].* https://pypi\.org/simple/", output), output
    built = r"/0\.31\.0-cpu-\w+ cannot be built; running services are unaffected\."
    assert re.search(built, output), output
    assert "Fix the error above and run again" in output
    assert environments() == ["0.32.0"], "no incomplete environment"
    assert look.run("gpu", f"systemctl show -p InvocationID {UNIT}") == before
    assert serves("0.32.0")


def test_a_release_that_does_not_serve_is_rolled_back(project: Path) -> None:
    """Unlike 0.32.0, 0.31.0 compiles even with --enforce-eager, and the host has no compiler."""
    with look.polling(lambda: (time.time(), version()), 0.5) as answers:
        done = run(project, (VERSION, OTHER))
    output = look.plain(done.stdout + done.stderr)
    assert done.returncode == 1
    for text in (
        "InvalidCxxCompiler: No working C++ compiler found",
        "What to do: vLLM compiles a part of itself on the host, and needs a compiler",
        "rolled back to",
    ):
        assert re.search(rf"\[gpu\].*{re.escape(text)}", output), output
    assert "trust_remote_code" not in output, "an option of the command line is not the cause"
    assert serves("0.32.0")
    times = f"stat -c %.3Y {ENVIRONMENTS}/0.31.0-*/pyvenv.cfg {ENVIRONMENTS}/0.31.0-*/.complete"
    began, built = map(float, look.run("gpu", times).split())
    meanwhile = [release for when, release in answers if began < when < built]
    assert set(meanwhile) == {"0.32.0"}
    assert len(meanwhile) > 5
    assert look.changes(look.mirror("--json")) == []


def test_another_release_serves_once_the_host_has_a_compiler(project: Path) -> None:
    install = "apt-get -qq install -y --no-install-recommends g++ python3-dev"
    look.run("gpu", f"apt-get -qq update && DEBIAN_FRONTEND=noninteractive {install}")
    done = run(project, (VERSION, OTHER))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Python environment" not in done.stdout + done.stderr, "it is installed already"
    assert serves("0.31.0")
    assert look.changes(run(project, (VERSION, OTHER), options=("--json",))) == []


def test_the_former_release_uses_its_installed_environment(project: Path) -> None:
    done = look.mirror("--json")
    assert not any("environment" in change for change in look.changes(done))
    assert serves("0.32.0")
    assert environments() == ["0.31.0", "0.32.0"]
    assert look.changes(look.mirror("--json")) == []


def test_deploys_rollback(project: Path) -> None:
    back = ("--data", "service=vllm-tiny")
    done = run(project, deploy="rollback", options=back)
    assert done.returncode == 0, done.stdout + done.stderr
    assert serves("0.31.0")
    assert look.mirror().returncode == 0, "back to the fleet file's release"
    assert serves("0.32.0")


def test_an_environment_is_removed_with_the_last_generation_that_uses_it(
    project: Path,
) -> None:
    for number in (4, 5):
        assert environments() == ["0.31.0", "0.32.0"]
        changed = (VERSION, f"{VERSION}    max_num_seqs: {number}\n")
        assert run(project, changed).returncode == 0
    assert environments() == ["0.32.0"]
