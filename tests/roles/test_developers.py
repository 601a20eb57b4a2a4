"""Tests of developers in all scopes with the real deploys: round trips, problems, many users."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
from hashlib import sha256
from importlib import import_module
from pathlib import Path

import pytest
from pyinfra.api.exceptions import DeployError

from mirrorfleet import fleet
from mirrorfleet.planning import FleetPlan, HostPlan
from mirrorfleet.planning.settings import settings
from mirrorfleet.roles.claude.machine_files import ASSIGNMENT_LIST
from tests.roles.answers import Answers, bare, converged
from tests.roles.fake import MIRROR, Exec, mirror
from tests.roles.fleets import good
from tests.roles.jobs import jobs

REMOVE = MIRROR.with_name("remove_clients.py")
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"


@pytest.fixture
def dev(monkeypatch: pytest.MonkeyPatch, offline_cache: None) -> HostPlan:
    for name in ("STAFF_KEY", "GUESTS_KEY", "LAB_KEY"):
        monkeypatch.setenv(name, f"sk-{name.lower()}")
    return good("scopes").hosts["dev"]


def changed(plan: HostPlan, found: Answers, deploy: Path = MIRROR) -> list[str]:
    traffic = mirror({"dev": plan}, {"dev": found}, deploy=deploy)["dev"]
    assert traffic.observations == 1
    return jobs(traffic)


def test_three_scopes_need_the_round_trips_of_one(dev: HostPlan) -> None:
    assert changed(dev, bare(dev)) == ["inbox", "take", "home files", "machine files"]
    assert changed(dev, converged(dev)) == []


def test_only_files_changed_outside_a_run_are_repaired(dev: HostPlan) -> None:
    policy = ("file", "/etc/claude-code/managed-settings.d/50-mirrorfleet.json")
    link = ("link", "/usr/local/bin/claude-lab")
    correct = converged(dev)
    assert changed(dev, correct | {policy: ("f 666 root:root", "0" * 64)}) == ["machine files"]
    assert changed(dev, correct | {link: ("/opt/mirrorfleet/old",)}) == ["link"]
    assert changed(dev, {words: correct[words] for words in correct if words != policy}) == [
        "machine files"
    ]


def test_clients_are_removed_from_hosts_that_have_them(dev: HostPlan) -> None:
    assert changed(dev, converged(dev), REMOVE) == ["home files", "decommission"]
    assert changed(dev, bare(dev), REMOVE) == []


def test_a_removed_user_loses_the_key_and_no_other_user_changes(dev: HostPlan) -> None:
    removed: Answers = {
        ("assignments", ASSIGNMENT_LIST, "eve", ".claude"): (),
        ("user", "eve"): ("/home/eve",),
        ("home_file", "eve", ".claude/mirrorfleet-key"): ("600", "c2st"),
    }
    traffic = mirror({"dev": dev}, {"dev": converged(dev) | removed})["dev"]
    [removal] = traffic.execs
    assert [line for line in file_actions(removal) if "as_user" in line] == [
        f"as_user eve 'remove .claude/mirrorfleet-key {sha256(b'sk-').hexdigest()}'"
    ]


def file_actions(call: Exec) -> list[str]:
    """Return the actions of an exec on the files that it sends, one line each."""
    raw = gzip.decompress(base64.b64decode(call.stdin))
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        file = archive.extractfile("places")
        assert file
        return file.read().decode().splitlines()


def test_a_users_own_client_is_reported_and_stays(
    dev: HostPlan, caplog: pytest.LogCaptureFixture
) -> None:
    own: Answers = {
        ("own_client", "linus", ".local/bin/claude"): (
            "/home/linus/.local/share/claude/versions/2.1.400",
        ),
        ("own_client", "grace", ".local/bin/claude"): ("/opt/mirrorfleet/claude/2.1.331/claude",),
    }
    assert changed(dev, converged(dev) | own) == []
    [note] = [line for line in caplog.messages if "note:" in line]
    assert "~linus/.local/bin/claude is linus's own client, release 2.1.400, newer (/home/" in note
    assert "before the fleet's 2.1.331" in note


def problem(plan: HostPlan, found: Answers) -> str:
    with pytest.raises(DeployError) as caught:
        mirror({"dev": plan}, {"dev": found})
    return str(caught.value)


def with_certificates(directory: Path, certificates: str) -> HostPlan:
    text = (Path(__file__).parents[1] / "fleet/good/scopes.yml").read_text()
    text = text.replace(
        "    model: opus\n", f"    model: opus\n    ca_certificates: {certificates}\n"
    )
    (directory / "fleet.yml").write_text(text)
    return fleet.plan(fleet.load(directory / "fleet.yml")).hosts["dev"]


def test_certificates_are_pushed_and_set_for_the_client(dev: HostPlan, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(CERTIFICATE)
    # On a host with a policy, an isolated client may have settings that the policy does not have.
    plan = with_certificates(tmp_path, "{push: ca.pem}")
    assert plan.clients
    [isolated] = [user for user in plan.clients.users if user.scope == "isolated"]
    path = "/opt/mirrorfleet/claude/certificates/lab.pem"
    assert isolated.settings["env"]["NODE_EXTRA_CA_CERTS"] == path
    assert [(file.path, file.source) for file in plan.clients.certificates] == [
        (path, tmp_path / "ca.pem")
    ]
    assert changed(plan, bare(plan))[-1] == "machine files"


@pytest.mark.parametrize(
    ("certificates", "content", "reason"),
    [
        ("{push: ca.pem}", None, "ca.pem cannot be read: No such file or directory"),
        ("{push: ca.pem}", "x", "ca.pem has no certificate in PEM format"),
        (
            "{push: ca.pem}",
            f"{CERTIFICATE}-----BEGIN PRIVATE KEY-----",
            "ca.pem has a private key, which all users of the host could read",
        ),
    ],
)
def test_an_unusable_certificate_file_is_refused(
    dev: HostPlan, tmp_path: Path, certificates: str, content: str | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    plan = with_certificates(tmp_path, certificates)
    assert reason in problem(plan, bare(plan))


def fleet_with(directory: Path, users: int) -> FleetPlan:
    text = (Path(__file__).parents[1] / "fleet/good/smallest.yml").read_text()
    names = ", ".join(f"u{number}" for number in range(users))
    assert "users: [ada]" in text
    (directory / "many.yml").write_text(text.replace("users: [ada]", f"users: [{names}]"))
    return fleet.plan(fleet.load(directory / "many.yml"))


def test_settings_are_derived_once_per_group_for_any_number_of_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(*arguments: object) -> object:
        calls.append(arguments)
        return settings(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(import_module("mirrorfleet.planning.claude"), "settings", counted)
    clients = fleet_with(tmp_path, 5000).hosts["dev"].clients
    assert clients and len(clients.users) == 5000
    assert len(calls) == 1
    assert len({id(user.settings) for user in clients.users}) == 1


@pytest.mark.slow
def test_ten_times_the_users_on_a_host_cost_ten_times_the_bytes_and_no_more_execs(
    monkeypatch: pytest.MonkeyPatch, offline_cache: None, tmp_path: Path
) -> None:
    monkeypatch.setenv("TEAM_KEY", "sk-team")
    sent, argv, plans = {}, {}, {}
    for users in (40, 400):
        plan = fleet_with(tmp_path, users).hosts["dev"]
        traffic = mirror({"dev": plan}, {"dev": bare(plan)})["dev"]
        assert traffic.round_trips == (5, 1)
        assert jobs(traffic) == ["inbox", "take", "home files", "machine files"]
        sent[users] = traffic.sent
        argv[users] = max(len(call.command) for call in traffic.execs)
        plans[users] = len(json.dumps(plan.to_json(), default=str))
    assert sent[400] < 10.5 * sent[40]
    assert plans[400] < 10.5 * plans[40]
    assert argv[400] == argv[40] < 5_000, (
        "a command line has a maximum length, standard input does not"
    )
