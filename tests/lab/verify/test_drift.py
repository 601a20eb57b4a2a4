"""Drift: a run reports and repairs many manual changes at once."""

import json
import re
import subprocess
from dataclasses import dataclass

import pytest

from tests.lab import look

LITELLM = "mirrorfleet-litellm.service"
UNIT = f"/etc/systemd/system/{LITELLM}"
GENERATION = "/opt/mirrorfleet/litellm/current"
SETTINGS = "/home/ada/.claude/settings.json"


@dataclass(frozen=True)
class Drift:
    """A shell ``command`` on a ``host``, and a pattern of the line that a run must print for it."""

    host: str
    command: str
    report: str


DRIFTS = {
    "a file is edited": Drift(
        "gw-1", f"echo '# by hand' >>{GENERATION}/config.yaml", r"litellm: config\.yaml differs"
    ),
    "a mode is changed": Drift(
        "gw-1", f"chmod 644 {GENERATION}/environment", r"environment has mode and owner 644 root"
    ),
    "an owner is changed": Drift(
        "gw-1",
        f"chown daemon {GENERATION}/check_config.py",
        r"check_config\.py has mode and owner 640 daemon:mirrorfleet-litellm, not 640 root",
    ),
    "keys are edited": Drift(
        "gw-1", "echo >>/opt/mirrorfleet/litellm/keys/keys.json", r"litellm: keys\.json differs"
    ),
    "weights are cut": Drift(
        "gpu",
        "truncate -s 9 /var/lib/mirrorfleet/weights/tiny-*/model.safetensors",
        r"/weights/tiny-\w+: model\.safetensors is missing or truncated",
    ),
    "a file is added": Drift(
        "gw-1", f"touch {GENERATION}/sitecustomize.py", r"sitecustomize\.py is"
    ),
    "a unit is stopped": Drift("gw-2", f"systemctl stop {LITELLM}", f"{LITELLM} is inactive"),
    "a unit is disabled": Drift(
        "gw-2", f"systemctl --quiet disable {LITELLM}", f"{LITELLM} is not enabled"
    ),
    "a link is moved to an older generation": Drift(
        "gw-2",
        "cd /opt/mirrorfleet/litellm && cp -a $(readlink -f current) generations/000000000000 &&"
        " ln -sfn generations/000000000000 current",
        r"`current` links to generations/000000000000",
    ),
    "a unit is edited": Drift(
        "gw-2", f"sed -i s/RestartSec=1/RestartSec=5/ {UNIT}", f"{UNIT} differs"
    ),
    "a unit is overridden": Drift(
        "gw-2",
        f"install -d {UNIT}.d && echo '[Service]' >{UNIT}.d/override.conf &&"
        " systemctl daemon-reload",
        rf"{LITELLM} is overridden by {UNIT}\.d/override\.conf",
    ),
    "a developer changes a setting of the fleet": Drift(
        "dev",
        f'sed -i \'s/"model": "tiny"/"model": "opus"/\' {SETTINGS}',
        r"~ada/\.claude/settings\.json differs",
    ),
    "a key is made readable for all users": Drift(
        "dev",
        "chmod 644 /home/ada/.claude/mirrorfleet-key",
        r"mirrorfleet-key has mode 644, not 600",
    ),
    "the client is removed": Drift(
        "dev",
        "rm /opt/mirrorfleet/claude/*/claude",
        r"/opt/mirrorfleet/claude/[\d.]+/claude is missing",
    ),
}


@dataclass(frozen=True)
class Runs:
    """The hosts ``before`` the drift, the output of a ``dry`` run, and the repairing run."""

    before: dict[str, str]
    dry: str
    repaired: subprocess.CompletedProcess[str]


def state(host: str) -> str:
    """Return the state to compare: files with modes, owners and contents, links, units."""
    return look.run(
        host,
        "cd / && find opt/mirrorfleet/*/current/ opt/mirrorfleet/claude etc/systemd/system/mirror* "
        "var/lib/mirrorfleet/weights usr/local/bin/claude "
        "home/ada/.claude/settings.json home/ada/.claude/mirrorfleet-key "
        r"-printf '%p %y %m %u:%g %l\n' -type f -exec sha256sum {} + 2>/dev/null | sort; "
        "readlink opt/mirrorfleet/*/current; "
        "systemctl show -p Id -p ActiveState -p UnitFileState -p DropInPaths 'mirrorfleet-*'",
    )


@pytest.fixture(scope="module")
def runs() -> Runs:
    before = {host: state(host) for host in look.HOSTS}
    for drift in DRIFTS.values():
        look.run(drift.host, drift.command)
    drifted = {host: state(host) for host in look.HOSTS}
    dry = look.pyinfra("--dry", "--diff", str(look.FLEET.with_suffix(".py")), "deploys/mirror.py")
    assert dry.returncode == 0, dry.stdout + dry.stderr
    assert {host: state(host) for host in look.HOSTS} == drifted
    return Runs(before, dry.stdout + dry.stderr, look.mirror("--json"))


@pytest.mark.parametrize("name", DRIFTS)
def test_a_run_reports_it_before_the_repair(runs: Runs, name: str) -> None:
    drift = DRIFTS[name]
    with_diffs = look.plain(runs.dry)
    assert re.search(rf"^\s*\[{drift.host}\]\s.*{drift.report}", with_diffs, re.MULTILINE)
    block = look.reported(runs.repaired.stderr, drift.host)
    assert re.search(drift.report, "\n".join(block)), block


def test_a_dry_run_prints_diffs(runs: Runs) -> None:
    for line in ("- # by hand", "- RestartSec=5", "+ RestartSec=1", '- model: "opus"'):
        assert line in look.plain(runs.dry)
    for name in ("engine", "master", "developers"):
        assert look.secret(name) not in runs.dry


def test_everything_is_repaired(runs: Runs) -> None:
    assert look.changes(runs.repaired)
    assert {host: state(host) for host in look.HOSTS} == runs.before
    content = look.run("dev", f"cat {SETTINGS}")
    assert json.loads(content)["model"] == "tiny"


def test_the_next_run_changes_nothing(runs: Runs) -> None:
    assert look.changes(look.mirror("--json")) == []
