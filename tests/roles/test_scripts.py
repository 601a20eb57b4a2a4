"""Scripts that a first run sends: shellcheck accepts them, and the hosts' shells parse them."""

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


def syntax_errors(shell: str, text: str) -> str:
    return programs.run([shell, "-n"], text).stderr


@pytest.mark.slow
@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize("fleet", ["lab", "prod"])
def test_scripts_of_changes_are_valid(plans: Planned, fleet: str, tmp_path: Path) -> None:
    hosts = plans(fleet).hosts
    done = mirror(hosts, {name: bare(plan) for name, plan in hosts.items()})
    scripts = {command.command for traffic in done.values() for command in traffic.execs}
    found = {(shell, text): syntax_errors(shell, text) for shell in SHELLS for text in scripts}
    assert {key: error for key, error in found.items() if error} == {}
    own_scripts = [text for text in scripts if text.startswith(LOCK_HOST)]
    assert len(own_scripts) > len(scripts) / 2, "the others belong to pyinfra"
    assert programs.shellcheck(tmp_path, own_scripts) == ""
    assert programs.shellcheck(tmp_path, ["echo $nothing\n"]) != "", "shellcheck reports a mistake"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_an_observation_is_valid(shell: str) -> None:
    facts: list[Fact[Any]] = [Exists('/it\'s a "path"'), Link("$(reboot)"), User("a;b")]
    assert syntax_errors(shell, script(facts)) == ""
    assert syntax_errors(shell, "if") != "", "the shell reports a mistake"
