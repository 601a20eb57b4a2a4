"""Every script that a first run sends is sound, and the shells of our hosts read it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet.runtime.commands import LOCK_HOST
from mirrorfleet.runtime.facts import Exists, Fact, Link, User
from mirrorfleet.runtime.observe import script
from tests.roles import programs
from tests.roles.answers import bare
from tests.roles.conftest import Planned
from tests.roles.fake import mirror

SHELLS = [shell for shell in ("dash", "bash") if shutil.which(shell)]


def complaints(shell: str, text: str) -> str:
    return programs.run([shell, "-n"], text).stderr


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize("fleet", ["lab", "prod"])
def test_what_changes_a_host(plans: Planned, fleet: str, tmp_path: Path) -> None:
    hosts = plans(fleet).hosts
    done = mirror(hosts, {name: bare(plan) for name, plan in hosts.items()})
    scripts = {command.command for traffic in done.values() for command in traffic.execs}
    found = {(shell, text): complaints(shell, text) for shell in SHELLS for text in scripts}
    assert {which: said for which, said in found.items() if said} == {}
    ours = [text for text in scripts if text.startswith(LOCK_HOST)]
    assert len(ours) > len(scripts) / 2, "the others are pyinfra's"
    assert programs.shellcheck(tmp_path, ours) == ""
    assert programs.shellcheck(tmp_path, ["echo $nothing\n"]) != "", "it finds something"


@pytest.mark.parametrize("shell", SHELLS)
def test_what_looks_at_a_host(shell: str) -> None:
    facts: list[Fact[Any]] = [Exists('/it\'s a "path"'), Link("$(reboot)"), User("a;b")]
    assert complaints(shell, script(facts)) == ""
    assert complaints(shell, "if") != "", "a shell that complains about nothing proves nothing"
