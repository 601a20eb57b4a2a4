"""Compare every file that the example fleets put on their hosts with the golden files.

golden/<fleet>/<host>/ has a folder per service and per developer; files.txt has the mode and owner
of each file. Digests that change with each lock file are replaced by DIGEST.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path

import pytest

from mirrorfleet.jobs import show
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.claude import home_files, machine_files
from mirrorfleet.roles.firewall.role import Firewall
from mirrorfleet.roles.litellm import keys
from mirrorfleet.roles.litellm.paths import USER
from mirrorfleet.roles.postgres import role as postgres
from tests.roles.answers import bare, observation_of, services
from tests.roles.conftest import Planned

GOLDEN = Path(__file__).parent / "golden"
UPDATE = "MIRRORFLEET_UPDATE_GOLDEN"

SCRIPTS = (".py",)
"""Suffixes of files that are sent unchanged: files.txt lists them, and golden/ has no copy."""


@pytest.mark.parametrize("fleet", ["database", "docker", "front", "lab", "ollama", "prod", "redis"])
def test_hosts_get_the_golden_files(plans: Planned, fleet: str) -> None:
    desired = {
        f"{host}/{name}": stable(content)
        for host, plan in plans(fleet).hosts.items()
        for name, content in rendered(plan)
    }
    if os.environ.get(UPDATE):
        replace(GOLDEN / fleet, desired)
    differences = compare(read(GOLDEN / fleet), desired)
    assert not differences, (
        f"the files of fleet '{fleet}' differ from the golden files:\n{differences}\n"
        f"If you intended this, update them and check `git diff`:\n"
        f"    {UPDATE}=1 .venv/bin/python -m pytest tests/roles/test_golden.py"
    )


def rendered(plan: HostPlan) -> Iterator[tuple[str, str]]:
    """Yield the name and content of each file of a host, and files.txt."""
    listed = []
    for service in services(plan):
        for member in service.members():
            listed.append(
                f"{member.mode} {member.owner}:{member.group} {service.name}/{member.name}"
            )
            if not member.name.endswith(SCRIPTS):
                yield f"{service.name}/{member.name}", member.content.decode()
    if plan.gateway:
        listed.append(f"640 root:{USER} {keys.DESIRED}")
        yield "litellm/keys.json", keys.desired(plan.gateway)
    for path, text in Firewall().files(plan, show.A_HOST):
        listed.append(f"644 root:root {path}")
        yield f"machine{path}", text
    for shared in (*postgres.units(plan), *machine_files.files(plan.clients)):
        if shared.content is not None:
            listed.append(f"{shared.mode} root:root {shared.path}")
            yield f"machine{shared.path}", shared.content.decode()
    for file in home_files.desired(plan, observation_of(bare(plan))):
        if file.content is not None:
            listed.append(f"{file.mode} {file.user}:{file.user} ~{file.user}/{file.path}")
            yield f"{file.user}/{file.path}", file.content.decode()
    yield "files.txt", "".join(f"{line}\n" for line in listed)


def stable(content: str) -> str:
    """Return the content with DIGEST instead of the digests of lock files."""
    content = re.sub(r"(/environments/[\w.-]+)-[0-9a-f]{8}/", r"\1-DIGEST/", content)
    return re.sub(r"(?<=^MIRRORFLEET_GENERATION=)[0-9a-f]{12}$", "DIGEST", content, flags=re.M)


def read(directory: Path) -> dict[str, str]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_text("utf-8") for path in files}


def replace(directory: Path, desired: dict[str, str]) -> None:
    for name in read(directory).keys() - desired.keys():
        (directory / name).unlink()
    for name, content in desired.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(content, "utf-8")


def compare(golden: dict[str, str], desired: dict[str, str]) -> str:
    return "".join(
        line
        for name in sorted(golden.keys() | desired.keys())
        for line in unified_diff(
            golden.get(name, "").splitlines(keepends=True),
            desired.get(name, "").splitlines(keepends=True),
            f"golden/{name}",
            f"rendered/{name}",
        )
    )
