"""Hosts whose Python is too old for LiteLLM and vLLM get one with the environment."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.command import FileUploadCommand
from pyinfra.api.exceptions import DeployError

from mirrorfleet.jobs import wheelhouse
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.litellm import software
from mirrorfleet.runtime import cache, python, standalone_python
from mirrorfleet.runtime.facts.python import Environments, Python
from mirrorfleet.runtime.observe import Observation, assumed
from tests.roles import programs
from tests.roles.conftest import Planned
from tests.roles.machine import Machine

ARCHIVE = "cpython-3.11.17+20261021-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"


def old(version: str = "3.10.12", **values: Any) -> Observation:
    return assumed({Python(): version}, **values)


def mirror(place: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a stand-in for the archive where uv's variable points; its hash is that of the lock."""
    archive = place / "mirror/20261021" / ARCHIVE
    archive.parent.mkdir(parents=True)
    archive.write_bytes(content)
    lock = json.loads(standalone_python.LOCK.read_text("utf-8"))
    lock["archives"]["x86_64"]["sha256"] = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(standalone_python, "_lock", lambda: lock)
    monkeypatch.setenv(standalone_python.MIRROR, (place / "mirror").as_uri())


def gateway(plans: Planned) -> tuple[python.Environment, HostPlan]:
    plan = plans("lab").hosts["gw-1"]
    assert plan.gateway
    return software.environment(plan.gateway), plan


def test_a_run_says_which_python_it_brings_and_why(plans: Planned) -> None:
    environment, _ = gateway(plans)
    none: dict[str, str] = {}
    found = assumed({Python(): "3.10.12", Environments(environment.directory): none})
    assert [change.what for change in python.changes(environment, found)] == [
        f"{environment.directory} is missing for Python 3.11.17, because the host's is 3.10.12"
    ]


@pytest.mark.parametrize(
    ("system", "release", "version"),
    [("ubuntu", "22.04", "3.11.17"), ("ubuntu", "24.04", "3.12.3"), ("debian", "13", "3.13.5")],
)
def test_a_host_without_python_gets_environments_for_its_package_or_for_the_standalone_one(
    system: str, release: str, version: str
) -> None:
    found = assumed({Python(): None}, system=system, release=release)
    assert python.for_environments(found) == version


@pytest.mark.usefixtures("offline_cache")
def test_the_controller_sends_it_with_the_wheels(
    plans: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror(tmp_path, b"a stand-in", monkeypatch)
    environment, plan = gateway(plans)
    none: dict[str, str] = {}
    values = {Environments(environment.directory): none}
    archives = {}
    for version in ("3.10.12", "3.11.2"):
        found = assumed({Python(): version, **values}, architecture="x86_64")
        path = python.fetch(environment, plan, found)
        assert path
        with tarfile.open(path) as tar:
            archives[version] = {member.name for member in tar}
    assert archives["3.10.12"] - archives["3.11.2"] == {standalone_python.NAME}
    assert archives["3.11.2"] <= archives["3.10.12"]


@pytest.mark.usefixtures("offline_cache")
def test_fetch_downloads_it_for_hosts_with_an_old_python(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror(tmp_path, b"a stand-in", monkeypatch)
    assert wheelhouse.main(str(project / "inventories/lab.yml"), "3.10.12", "x86_64", None) == 0
    assert (cache.directory() / "python" / ARCHIVE).read_bytes() == b"a stand-in"


def test_another_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mirror(tmp_path, b"right", monkeypatch)
    (tmp_path / "mirror/20261021" / ARCHIVE).write_bytes(b"evil")
    with pytest.raises(DeployError) as error:
        standalone_python.fetch("x86_64")
    message = str(error.value)
    assert "is not the expected release: its sha256 is " in message
    assert not list((tmp_path / "cache").rglob("*.gz"))


def test_an_archive_that_cannot_be_downloaded_has_a_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(standalone_python.MIRROR, (tmp_path / "none").as_uri())
    with pytest.raises(DeployError) as error:
        standalone_python.fetch("aarch64")
    message = str(error.value)
    assert message.startswith(f"Python 3.11.17 cannot be downloaded from file://{tmp_path}/none/")
    assert "Set UV_PYTHON_INSTALL_MIRROR to a mirror of https://github.com/astral-sh/" in message
    assert "or upgrade the host." in message


def test_an_environment_with_its_own_python_serves_under_any_python_of_the_host(
    machine: Machine,
) -> None:
    machine.add("its-python", "echo Python 3.10.12")
    directory = machine.root / "1.2.3-digest"
    (directory / "lib/python3.11").mkdir(parents=True)
    (directory / ".complete").touch()
    fact = Environments(str(directory))
    assert machine.observe(Python("its-python"), fact)[fact] == {}
    (directory / ".python/bin").mkdir(parents=True)
    (directory / ".python/bin/python3").write_text("")
    (directory / ".python/bin/python3").chmod(0o755)
    (directory / ".complete").touch()
    assert machine.observe(Python("its-python"), fact)[fact] == {str(directory): ""}


SKIPPED = ("test", "idlelib", "tkinter", "ensurepip", "lib2to3", "site-packages", "__pycache__")


def stand_in_archive(path: Path) -> None:
    """Write an archive as python-build-standalone's: the real CPython that runs this test."""
    base, name = Path(sys.base_prefix), f"python{sys.version_info[0]}.{sys.version_info[1]}"

    def chosen(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        parts = Path(member.name).parts
        return None if {*SKIPPED} & {*parts} or parts[-1].startswith("config-") else member

    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        tar.add(base / "bin" / name, f"python/bin/{name}")
        link = tarfile.TarInfo("python/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, name
        tar.addfile(link)
        tar.add(base / "lib" / name, f"python/lib/{name}", filter=chosen)
        for library in (base / "lib").glob("libpython*.so*"):
            tar.add(library, f"python/lib/{library.name}")


def wheel(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    """Write a wheel of version 1 with these files."""
    path = folder / f"{name}-1-py3-none-any.whl"
    metadata = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)
        for file, text in metadata.items():
            archive.writestr(f"{name}-1.dist-info/{file}", text)
    return path


OLD_PYTHON = """\
case $* in
    -V) echo Python 3.9.2 ;;
    '-c import sys'*) echo 3.9 ;;
    *) exec PYTHON "$@" ;;
esac
"""


@pytest.mark.slow
def test_the_environment_is_built_with_it_and_is_not_built_again(
    plans: Planned, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in is an archive of this test's own CPython; scripts, uv and shell are real."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = tmp_path / "made.tar.gz"
    stand_in_archive(made)
    mirror(tmp_path, made.read_bytes(), monkeypatch)
    machine.add("python3", OLD_PYTHON.replace("PYTHON", sys.executable))
    uv = Path(sys.executable).with_name("uv").read_bytes()

    example = wheel(tmp_path, "example", {"example.py": b"import ssl, sqlite3\nVALUE = 42\n"})

    def download(requirements: Path, version: str, architecture: str, to: Path, *_: str) -> None:
        wheel(to, "uv", {"uv-1.data/scripts/uv": uv})
        shutil.copy(example, to)

    monkeypatch.setattr(cache, "_pip_download", download)
    digest = hashlib.sha256(example.read_bytes()).hexdigest()
    lock = tmp_path / "example.txt"
    lock.write_text(f"example==1 --hash=sha256:{digest}\n")
    environment = python.Environment("litellm", lock)
    _, plan = gateway(plans)
    found = machine.observe_as_host(*environment.facts)
    assert found[Python()] == "3.9.2"
    for command in python.install(environment, plan, found):
        if isinstance(command, FileUploadCommand):
            assert not isinstance(command.src, str), "a range of a file"
            machine.at(str(command.dest)).write_bytes(command.src.read())
        else:
            done = machine.run(command)
            assert done.returncode == 0, done.stderr
    place = machine.at(environment.directory)
    show = "import example, sys; print(example.VALUE, sys.base_prefix, sys.version_info[:2])"
    done = programs.run([str(place / "bin/python"), "-I", "-c", show])
    assert done.stdout.split(" ", 2)[:2] == ["42", str(place / ".python")], done.stderr
    after = machine.observe_as_host(*environment.facts)
    assert after[Environments(environment.directory)] == {environment.directory: ""}
    assert python.is_installed(environment, after)
    assert not list(python.changes(environment, after))
