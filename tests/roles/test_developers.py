"""Developers of all scopes through the real deploys: round trips, refusals, the cost of many."""

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
    assert traffic.looks == 1
    return jobs(traffic)


def test_three_scopes_cost_what_one_costs(dev: HostPlan) -> None:
    assert changed(dev, bare(dev)) == ["inbox", "take", "home files", "machine files"]
    assert changed(dev, converged(dev)) == []


def test_what_another_hand_changed_is_repaired_and_nothing_else(dev: HostPlan) -> None:
    policy = ("file", "/etc/claude-code/managed-settings.d/50-mirrorfleet.json")
    link = ("link", "/usr/local/bin/claude-lab")
    right = converged(dev)
    assert changed(dev, right | {policy: ("f 666 root:root", "0" * 64)}) == ["machine files"]
    assert changed(dev, right | {link: ("/opt/mirrorfleet/old",)}) == ["link"]
    assert changed(dev, {each: right[each] for each in right if each != policy}) == [
        "machine files"
    ]


def test_clients_are_removed_where_there_are_any(dev: HostPlan) -> None:
    assert changed(dev, converged(dev), REMOVE) == ["home files", "clear"]
    assert changed(dev, bare(dev), REMOVE) == []


def test_a_user_who_left_loses_the_key_and_no_one_else_is_touched(dev: HostPlan) -> None:
    left: Answers = {
        ("assignments", ASSIGNMENT_LIST, "eve", ".claude"): (),
        ("user", "eve"): ("/home/eve",),
        ("home_file", "eve", ".claude/mirrorfleet-key"): ("600", "c2st"),
    }
    traffic = mirror({"dev": dev}, {"dev": converged(dev) | left})["dev"]
    [gone] = traffic.execs
    assert [line for line in places(gone) if "as_user" in line] == [
        f"as_user eve 'remove .claude/mirrorfleet-key {sha256(b'sk-').hexdigest()}'"
    ]


def places(written: Exec) -> list[str]:
    """Return what is done with the files that a host was sent, line by line."""
    raw = gzip.decompress(base64.b64decode(written.stdin))
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        said = archive.extractfile("places")
        assert said
        return said.read().decode().splitlines()


def test_a_client_of_a_users_own_is_told_of_and_left_alone(
    dev: HostPlan, caplog: pytest.LogCaptureFixture
) -> None:
    own: Answers = {
        ("own_client", "linus", ".local/bin/claude"): (
            "/home/linus/.local/share/claude/versions/2.1.400",
        ),
        ("own_client", "grace", ".local/bin/claude"): ("/opt/mirrorfleet/claude/2.1.330/claude",),
    }
    assert changed(dev, converged(dev) | own) == []
    [told] = [line for line in caplog.messages if "note:" in line]
    assert "~linus/.local/bin/claude is linus's own client (/home/linus/.local/" in told
    assert "before the fleet's 2.1.330" in told


def refusal(plan: HostPlan, found: Answers) -> str:
    with pytest.raises(DeployError) as caught:
        mirror({"dev": plan}, {"dev": found})
    return str(caught.value)


def with_certificates(directory: Path, said: str) -> HostPlan:
    text = (Path(__file__).parents[1] / "fleet/good/scopes.yml").read_text()
    text = text.replace("    model: opus\n", f"    model: opus\n    ca_certificates: {said}\n")
    (directory / "fleet.yml").write_text(text)
    return fleet.plan(fleet.load(directory / "fleet.yml")).hosts["dev"]


def test_certificates_are_pushed_and_named_to_the_client(dev: HostPlan, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(CERTIFICATE)
    # On a host with a policy, a mirror may say what the policy does not.
    plan = with_certificates(tmp_path, "{push: ca.pem}")
    assert plan.clients
    [mirrored] = [each for each in plan.clients.users if each.scope == "isolated"]
    path = "/opt/mirrorfleet/claude/certificates/lab.pem"
    assert mirrored.settings["env"]["NODE_EXTRA_CA_CERTS"] == path
    assert [(each.path, each.source) for each in plan.clients.certificates] == [
        (path, tmp_path / "ca.pem")
    ]
    assert changed(plan, bare(plan))[-1] == "machine files"


@pytest.mark.parametrize(
    ("said", "content", "reason"),
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
def test_certificates_that_are_none(
    dev: HostPlan, tmp_path: Path, said: str, content: str | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    plan = with_certificates(tmp_path, said)
    assert reason in refusal(plan, bare(plan))


def many(directory: Path, users: int) -> FleetPlan:
    text = (Path(__file__).parents[1] / "fleet/good/smallest.yml").read_text()
    names = ", ".join(f"u{number}" for number in range(users))
    assert "users: [ada]" in text
    (directory / "many.yml").write_text(text.replace("users: [ada]", f"users: [{names}]"))
    return fleet.plan(fleet.load(directory / "many.yml"))


def test_settings_are_derived_once_for_a_group_however_many_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(*arguments: object) -> object:
        calls.append(arguments)
        return settings(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(import_module("mirrorfleet.planning.claude"), "settings", counted)
    clients = many(tmp_path, 5000).hosts["dev"].clients
    assert clients and len(clients.users) == 5000
    assert len(calls) == 1
    assert len({id(each.settings) for each in clients.users}) == 1


def test_ten_times_as_many_on_one_host_are_ten_times_the_bytes_and_not_one_exec_more(
    monkeypatch: pytest.MonkeyPatch, offline_cache: None, tmp_path: Path
) -> None:
    monkeypatch.setenv("TEAM_KEY", "sk-team")
    sent, argv, plans = {}, {}, {}
    for users in (40, 400):
        plan = many(tmp_path, users).hosts["dev"]
        traffic = mirror({"dev": plan}, {"dev": bare(plan)})["dev"]
        assert traffic.round_trips == (5, 1)
        assert jobs(traffic) == ["inbox", "take", "home files", "machine files"]
        sent[users] = traffic.sent
        argv[users] = max(len(each.command) for each in traffic.execs)
        plans[users] = len(json.dumps(plan.to_json(), default=str))
    assert sent[400] < 10.5 * sent[40]
    assert plans[400] < 10.5 * plans[40]
    assert argv[400] == argv[40] < 5_000, "a command line has an end, standard input has none"
