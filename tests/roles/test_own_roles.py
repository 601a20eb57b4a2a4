"""A user's role takes part in a run: the example of docs/how-to/own-role.md."""

from __future__ import annotations

import re
import runpy
from base64 import b64encode
from pathlib import Path

import pytest
from pyinfra.api.exceptions import DeployError

from mirrorfleet.roles import registry
from tests.roles import fake
from tests.roles.answers import converged
from tests.roles.conftest import Planned
from tests.roles.fleets import ROOT

PAGE = (ROOT / "docs/how-to/own-role.md").read_text("utf-8")
MOTD = ("content", "/etc/motd")


def run(directory: Path, plans: Planned, found: dict[str, bytes]) -> dict[str, fake.Traffic]:
    """Run the example on the lab's fleet; ``found`` is the content of /etc/motd by host."""
    hosts = plans("lab").hosts
    [example] = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    answers = {name: converged(plan) for name, plan in hosts.items()}
    for name, content in found.items():
        answers[name] |= {MOTD: (b64encode(content).decode(),)}
    module = directory / "prod.py"
    module.write_text(example.replace("globals().update(groups(__file__))\n", ""))
    runpy.run_path(str(module))
    try:
        return fake.mirror(hosts, answers)
    finally:
        registry._own.clear()


@pytest.mark.usefixtures("offline_cache")
def test_it_changes_hosts_that_differ_in_the_same_run(tmp_path: Path, plans: Planned) -> None:
    traffic = run(tmp_path, plans, {"gw-1": b"Hello.\n", "gw-2": b"A gateway of the fleet.\n"})
    changed = {
        name: host_traffic.execs for name, host_traffic in traffic.items() if host_traffic.execs
    }
    assert list(changed) == ["gw-1"]
    [exec_] = changed["gw-1"]
    assert exec_.command.endswith("cat >/etc/motd")
    assert exec_.stdin == "A gateway of the fleet.\n"
    assert {host_traffic.observations for host_traffic in traffic.values()} == {1}


@pytest.mark.usefixtures("offline_cache")
def test_its_problem_ends_the_run_before_any_change(tmp_path: Path, plans: Planned) -> None:
    with pytest.raises(DeployError, match="gw-2: /etc/motd is larger than 10,000 bytes"):
        run(tmp_path, plans, {"gw-2": b"x" * 10_001})
