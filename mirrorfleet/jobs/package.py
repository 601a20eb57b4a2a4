"""Installers for machines without SSH: mirrorfleet package FILE --group NAME --out DIR

For a whole group, without keys: an installer, and files for device management if the scope is
managed. For one developer, with --user: the installer with the key.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pyinfra.api.exceptions import DeployError

from mirrorfleet import fleet
from mirrorfleet.config import Developers, Fleet
from mirrorfleet.config.problems import FleetError, Problem, did_you_mean
from mirrorfleet.planning import ClaudePlan, DerivedKey
from mirrorfleet.planning.claude import packaged
from mirrorfleet.roles.claude import client, device_management, machine_files
from mirrorfleet.roles.claude.installer import Packages, installer
from mirrorfleet.roles.claude.json_file import written
from mirrorfleet.runtime.cache import npm_file, npm_package
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.secrets import reveal


class File(NamedTuple):
    """One file of a package, and its purpose. With ``secret``, only its owner can read it."""

    path: str
    content: bytes
    about: str
    secret: bool = False


def main(file: str, name: str, out: Path, user: str | None, *, with_client: bool) -> int:
    """Write the package of a group into a directory. Return the exit code: 1 on an error."""
    try:
        planned = fleet.plan(fleet.load(file))
        groups = planned.fleet.developers
        if name not in groups:
            return _refused(f"There is no group '{name}'. {did_you_mean(name, groups)}")
        group = groups[name]
        if user and user not in group.logins:
            return _refused(
                f"The group '{name}' has no '{user}'. {did_you_mean(user, group.logins)}"
            )
        clients = packaged(planned.fleet, group, user or group.logins[0])
        problems = [*machine_files.certificate_problems(clients), *_rootless(clients)]
        if problems := [*problems, *(_masters(planned.fleet, clients) if user else ())]:
            return _refused("\n".join(problem.at(name) for problem in problems))
        files = _own(group, clients, user) if user else _shared(group, clients, planned.fleet.name)
        for item in [*files, *(_clients(clients, group.version) if with_client else ())]:
            _write(out / item.path, item.content, secret=item.secret)
            print(f"{out / item.path}: {item.about}")
    except FleetError as error:
        return _refused(str(error))
    except DeployError as exception:
        return _refused(f"{name}: {exception}")
    except OSError as error:
        return _refused(f"{error.filename}: {error.strerror}")
    return 0


def _refused(reason: str) -> int:
    print(reason.rstrip(), file=sys.stderr)
    return 1


def _rootless(plan: ClaudePlan) -> Iterator[Problem]:
    """Yield why an installer without root cannot install the group's files."""
    if plan.managed is None and any(certificate.source for certificate in plan.certificates):
        yield error(
            "only a package with the scope managed can install certificates: their directory "
            "belongs to root.",
            "Set a path that exists on the machines.",
        )


def _masters(fleet: Fleet, plan: ClaudePlan) -> Iterator[Problem]:
    """Yield a key that must not be handed out: LiteLLM's master key, which can do everything.

    A run refuses it, too, but the key would work before any run.
    """
    [developer] = plan.users
    if isinstance(developer.key, DerivedKey) or not fleet.gateway:
        return
    master = fleet.gateway.master_key
    try:
        same = reveal(developer.key) == reveal(master)
    except DeployError:  # this machine may not have the master key
        return
    if same:
        yield error(
            f"'{developer.user}' would get the gateways' master key: {developer.key} and {master} "
            "are the same.",
            "Create another key.",
        )


def _shared(group: Developers, plan: ClaudePlan, fleet_name: str) -> Iterator[File]:
    """Yield the files for a whole group, without keys."""
    yield File(
        "install.sh",
        installer(plan, _packages(plan, group.version)),
        f"for Linux, WSL and macOS{', as root' if plan.managed else ', as the developer'}",
    )
    if plan.managed is None:
        return
    settings = plan.managed.settings
    yield File(
        "macos/managed-settings.json",
        written(settings),
        "into /Library/Application Support/ClaudeCode",
    )
    try:
        profile = device_management.mobileconfig(settings, fleet_name, group.name)
    except TypeError:
        raise DeployError("a setting is null, which a macOS profile cannot contain.") from None
    yield File(f"macos/{group.name}.mobileconfig", profile, "the same as a profile")
    if plan.certificates:
        print("no files for Windows: certificates are not supported there")
        return
    windows = device_management.on_windows(settings)
    yield File(
        "windows/managed-settings.json", written(windows), r"into C:\Program Files\ClaudeCode"
    )
    yield File(
        f"windows/{group.name}.reg",
        device_management.registry(windows),
        "the same for the registry",
    )
    yield File(
        "windows/install.ps1",
        device_management.powershell(group.name),
        "copies the first of the two",
    )


def _own(group: Developers, plan: ClaudePlan, user: str) -> Iterator[File]:
    """Yield the files for one developer, with the key."""
    [developer] = plan.users
    key = reveal(developer.key)
    script = installer(plan, _packages(plan, group.version), key)
    yield File(f"{user}/install.sh", script, f"for {user} alone, with the key", secret=True)
    if plan.managed is not None:
        content = device_management.powershell(group.name, key)
        yield File(f"{user}/key.ps1", content, f"{user}'s key, for Windows", secret=True)


def _packages(plan: ClaudePlan, version: str) -> Packages:
    return {
        kind: (name, npm_file(name, version), sha512)
        for kind, (name, sha512) in client.packages(plan, version).items()
    }


def _clients(plan: ClaudePlan, version: str) -> Iterator[File]:
    """Yield the client's packages, which an installer finds beside it."""
    for kind, (name, integrity) in client.pinned(plan, version).items():
        package = npm_package(name, version, integrity)
        yield File(package.name, package.read_bytes(), f"the client for {kind}")


def _write(path: Path, content: bytes, *, secret: bool) -> None:
    """Write a file atomically. Others can never read a secret one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    flags, mode = os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644
    with os.fdopen(os.open(new, flags, mode), "wb") as stream:
        stream.write(content)
    new.replace(path)
