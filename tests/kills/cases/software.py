"""Packages of the distribution, and Python environments."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime import packages, python
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.facts import Package
from mirrorfleet.runtime.observe import Observation
from tests.kills.case import Case
from tests.kills.world import Host
from tests.roles.fleets import ROOT

APT = (
    *("var/lib/apt", "var/cache", "var/log", "var/lib/systemd", "var/lib/dpkg/triggers"),
    *("var/lib/dpkg/lock", "var/lib/dpkg/lock-frontend"),
    *(
        f"var/lib/dpkg/{name}"
        for name in ("status", "status-old", "status-new", "updates", "tmp.ci")
    ),
)
"""What apt writes beside packages: logs, caches and locks, and dpkg's list with its journal."""

CONTROL = """\
Package: {name}
Version: 1.0
Architecture: all
Maintainer: the tests <tests@example.com>
Description: a package of the tests
Depends: {depends}
"""

INSTALLED = """\
#!/bin/sh
set -e
mkdir -p /var/lib/{name}
date +%s >/var/lib/{name}/.new
echo configured >/var/lib/{name}/state
rm /var/lib/{name}/.new
"""


def _states(host: Host) -> str:
    """Return the packages with their states, as dpkg reads its list and its journal."""
    return host.call("dpkg-query", "-W", "-f", r"${Package} ${Version} ${Status}\n")


def cases(directory: Path, gateway: HostPlan) -> Iterator[Case]:
    repository = directory / "repository"
    names = ("demo-server", "demo-library", "demo-tools")
    entries = [
        _package(repository, name, "demo-library" if name == "demo-server" else "dash")
        for name in names
    ]
    (repository / "Packages").write_text("\n".join(entries))

    def with_repository(host: Host) -> None:
        shutil.copytree(repository, host.root / "srv/repository")
        host.call("sh", "-c", "rm -rf /etc/apt/sources.list* /var/lib/apt/lists/*")
        line = "deb [trusted=yes] file:/srv/repository ./\n"
        (host.root / "etc/apt/sources.list").write_text(line)

    yield Case(
        "packages of the distribution",
        [Package(name) for name in names],
        lambda observed: packages.install(names, observed),
        with_repository,
        state=_states,
        ignored=APT,
    )
    lock = directory / "demo.txt"
    lock.write_text(_requirements("packaging", "typing-extensions", "click"))
    environment = python.Environment("demo", lock)
    plan = replace(gateway, packages="controller")
    yield Case(
        "Python environment",
        environment.facts,
        lambda observed: _environment(environment, plan, observed),
    )


def _environment(
    environment: python.Environment, plan: HostPlan, observed: Observation
) -> Commands:
    yield from python.install(environment, plan, observed)


def _package(repository: Path, name: str, depends: str) -> str:
    """Build a package, and return its entry in the list of the repository."""
    source = repository / "source" / name
    for folder in ("DEBIAN", "usr/lib"):
        (source / folder).mkdir(parents=True)
    (source / "DEBIAN/control").write_text(CONTROL.format(name=name, depends=depends))
    (source / "DEBIAN/postinst").write_text(INSTALLED.format(name=name))
    (source / "DEBIAN/postinst").chmod(0o755)
    (source / "usr/lib" / name).mkdir()
    for number in range(5):
        (source / "usr/lib" / name / str(number)).write_text(f"{name} {number}\n" * 1000)
    package = repository / f"{name}.deb"
    command: Sequence[str] = [
        "dpkg-deb",
        "--root-owner-group",
        "--build",
        str(source),
        str(package),
    ]
    subprocess.run(command, check=True, capture_output=True)
    shutil.rmtree(repository / "source")
    content = package.read_bytes()
    file = f"Filename: ./{name}.deb\nSize: {len(content)}\nSHA256: {sha256(content).hexdigest()}\n"
    return CONTROL.format(name=name, depends=depends) + file


def _requirements(*names: str) -> str:
    """Return the entries of these packages in this repository's own lock file."""
    entries = (ROOT / "requirements.lock").read_text().split("\n\n")[-1]
    kept, keeps = [], False
    for line in entries.splitlines(keepends=True):
        if not line.startswith((" ", "#")):
            keeps = line.partition("==")[0] in names
        if keeps and not line.lstrip().startswith("#"):
            kept.append(line)
    return "".join(kept)
