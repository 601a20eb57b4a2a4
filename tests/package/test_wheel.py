"""The built wheel, installed in an empty environment and used from an empty directory.

Only Mirrorfleet's wheel is installed there; the dependencies are those of this environment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from sysconfig import get_path

import pytest

from mirrorfleet import __version__

ROOT = Path(__file__).parents[2]
SHIPPED = ("mirrorfleet", "roles", "deploys", "schemas", "docs")


def run(*command: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the environment, without a terminal and outside this tree."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd), "COLUMNS": "200", **variables}
    return subprocess.run(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel."""
    directory = tmp_path_factory.mktemp("dist")
    done = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", directory, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    [found] = directory.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel in an environment; return its bin directory."""
    directory = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", directory, cwd=directory)
    pip = (sys.executable, "-m", "pip", "--python", directory / "bin/python", "install", "-q")
    done = run(*pip, "--no-index", "--no-deps", wheel, cwd=directory)
    assert done.returncode == 0, done.stderr
    [packages] = directory.glob("lib/*/site-packages")
    (packages / "dependencies.pth").write_text(get_path("purelib"))
    return directory / "bin"


@pytest.fixture
def repository(environment: Path, tmp_path: Path) -> Path:
    """Create a repository with `mirrorfleet init`."""
    done = run(environment / "mirrorfleet", "init", "fleet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path / "fleet"


def pyinfra(environment: Path, *arguments: str | Path, cwd: Path, **variables: str) -> str:
    """Run pyinfra; return its exit code on one line, and its output."""
    done = run(environment / "python", "-m", "pyinfra", *arguments, cwd=cwd, **variables)
    return f"{done.returncode}\n{done.stdout}{done.stderr}"


def test_the_wheel_has_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    listed = ("git", "ls-files", "--cached", "--others", "--exclude-standard", *SHIPPED)
    tree = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    links = {f"mirrorfleet/{link}" for link in ("roles", "deploys", "schemas", "docs")}
    expected = {f"mirrorfleet/{file.removeprefix('mirrorfleet/')}" for file in tree.split()} - links
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    metadata = {name for name in names if name.startswith(f"mirrorfleet-{__version__}.dist-info/")}
    assert names - metadata == expected - {f"mirrorfleet/{link}" for link in links}


def test_the_command_prints_its_version(environment: Path, tmp_path: Path) -> None:
    done = run(environment / "mirrorfleet", "--version", cwd=tmp_path)
    assert done.stdout == f"mirrorfleet {__version__}\n"


def test_a_new_repository_passes_the_check_from_any_directory(
    environment: Path, repository: Path, tmp_path: Path
) -> None:
    for directory, path in (
        (repository, "inventories/prod.yml"),
        (tmp_path, "fleet/inventories/prod.yml"),
    ):
        done = run(environment / "mirrorfleet", "check", path, cwd=directory)
        assert (done.returncode, done.stdout) == (0, f"{path}: 3 hosts, no mistakes\n")
        done = run(environment / "mirrorfleet", "show", "--values", path, cwd=directory)
        assert done.returncode == 0, done.stderr
        assert "CLAUDE_CODE_MAX_CONTEXT_TOKENS" in done.stdout


def test_the_only_fleet_file_of_a_repository_needs_no_name(
    environment: Path, repository: Path
) -> None:
    for directory, path in (
        (repository, "inventories/prod.yml"),
        (repository / "inventories", "prod.yml"),
    ):
        done = run(environment / "mirrorfleet", "check", cwd=directory)
        assert (done.returncode, done.stdout) == (0, f"{path}: 3 hosts, no mistakes\n")


def test_a_lock_file_of_the_repository_wins(environment: Path, repository: Path) -> None:
    lock = repository / "locks/litellm/1.106.12.txt"
    lock.parent.mkdir()
    shutil.copy(ROOT / "roles/litellm/locks/1.106.12.txt", lock)
    check = (environment / "mirrorfleet", "check")
    assert run(*check, cwd=repository).returncode == 0
    output = pyinfra(
        environment, repository / "inventories/prod.py", "debug-inventory", cwd=repository.parent
    )
    assert output.startswith("0\n") and str(lock) in output, output
    lock.write_text("litellm==1.106.12\n")
    done = run(*check, cwd=repository)
    assert done.returncode == 1
    assert done.stderr.startswith("locks/litellm/1.106.12.txt:1: 'litellm==1.106.12' has no hash.")


def test_pyinfra_reads_the_inventory_of_a_new_repository(
    environment: Path, repository: Path
) -> None:
    output = pyinfra(environment, "inventories/prod.py", "debug-inventory", cwd=repository)
    assert output.startswith("0\n") and '"ssh_hostname": "10.0.2.11"' in output, output


def test_a_new_repository_has_the_deploys_of_the_package(
    environment: Path, repository: Path
) -> None:
    names = sorted(path.stem for path in (repository / "deploys").glob("*.py"))
    assert names == sorted(path.stem for path in (ROOT / "deploys").glob("[!_]*.py"))
    lines = [f"from mirrorfleet.deploys.{name} import {name}" for name in names]
    for name, line in zip(names, lines, strict=True):
        text = (repository / "deploys" / f"{name}.py").read_text("utf-8")
        assert text.endswith(f'"""\n\n{line}\n\n{name}()\n')
    program = "; ".join(["import pyinfra_cli", *lines])
    done = run(environment / "python", "-c", program, cwd=repository)
    assert done.returncode == 0, done.stderr


def test_init_overwrites_no_file(environment: Path, repository: Path) -> None:
    (repository / "deploys/mirror.py").write_text("# my own\n")
    done = run(environment / "mirrorfleet", "init", repository, cwd=repository)
    assert done.returncode == 1
    assert done.stderr == (
        f"{repository}/inventories/prod.yml: exists; nothing was written. Choose another --name\n"
    )
    done = run(environment / "mirrorfleet", "init", "--name", "lab", cwd=repository)
    assert done.returncode == 0
    assert "deploys/mirror.py: exists, kept\n" in done.stdout
    assert (repository / "deploys/mirror.py").read_text() == "# my own\n"
    assert (repository / "inventories/lab.yml").exists()
