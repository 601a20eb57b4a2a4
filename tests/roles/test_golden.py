"""Every file that the fleets of inventories/ put on their hosts, against the ones in golden/.

golden/<fleet>/<host>/ has a folder per service and per developer, and in files.txt the mode and
owner of every file. Digests that change with each lock file are written as DIGEST.
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
from mirrorfleet.roles.litellm.render import USER
from mirrorfleet.roles.postgres import role as postgres
from tests.roles.answers import bare, observation_of, services
from tests.roles.conftest import Planned

GOLDEN = Path(__file__).parent / "golden"
UPDATE = "MIRRORFLEET_UPDATE_GOLDEN"

SCRIPTS = (".py",)
"""Sent as they stand in the repository: files.txt names them, and there is nothing to compare."""


@pytest.mark.parametrize("fleet", ["database", "docker", "front", "lab", "ollama", "prod", "redis"])
def test_hosts_get_these_files(plans: Planned, fleet: str) -> None:
    wanted = {
        f"{host}/{name}": stable(content)
        for host, plan in plans(fleet).hosts.items()
        for name, content in rendered(plan)
    }
    if os.environ.get(UPDATE):
        replace(GOLDEN / fleet, wanted)
    differences = compare(read(GOLDEN / fleet), wanted)
    assert not differences, (
        f"the files of fleet '{fleet}' are not the golden ones:\n{differences}\n"
        f"If that is what you want, write them anew and read `git diff` afterwards:\n"
        f"    {UPDATE}=1 .venv/bin/python -m pytest tests/roles/test_golden.py"
    )


def rendered(plan: HostPlan) -> Iterator[tuple[str, str]]:
    """Yield the files of a host, and what stands in files.txt about them."""
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
    """Hide the digests that come from the content of lock files."""
    content = re.sub(r"(/environments/[\w.-]+)-[0-9a-f]{8}/", r"\1-DIGEST/", content)
    return re.sub(r"(?<=^MIRRORFLEET_GENERATION=)[0-9a-f]{12}$", "DIGEST", content, flags=re.M)


def read(directory: Path) -> dict[str, str]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_text("utf-8") for path in files}


def replace(directory: Path, wanted: dict[str, str]) -> None:
    for name in read(directory).keys() - wanted.keys():
        (directory / name).unlink()
    for name, content in wanted.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(content, "utf-8")


def compare(golden: dict[str, str], wanted: dict[str, str]) -> str:
    return "".join(
        line
        for name in sorted(golden.keys() | wanted.keys())
        for line in unified_diff(
            golden.get(name, "").splitlines(keepends=True),
            wanted.get(name, "").splitlines(keepends=True),
            f"golden/{name}",
            f"rendered/{name}",
        )
    )
