"""Rollout of keys to gateways and clients: valid keys, former keys, revoked keys."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.exceptions import DeployError

from mirrorfleet.planning import FleetPlan
from mirrorfleet.roles.claude.machine_files import ASSIGNMENT_LIST
from mirrorfleet.roles.litellm import keys
from mirrorfleet.roles.litellm.files import keyring
from mirrorfleet.roles.litellm.paths import KEYS, USER
from mirrorfleet.runtime import secrets
from mirrorfleet.runtime.commands import script
from tests.roles.answers import Answers, converged, gateway_keys
from tests.roles.conftest import Planned
from tests.roles.fake import Traffic, mirror
from tests.roles.fleets import edit
from tests.roles.jobs import _job, jobs
from tests.roles.machine import Machine

pytestmark = pytest.mark.usefixtures("offline_cache")
BOTH = ["keys", "former keys"]


def found(planned: FleetPlan) -> dict[str, Answers]:
    return {name: converged(plan) for name, plan in planned.hosts.items()}


def ordered_jobs(done: dict[str, Traffic]) -> list[str]:
    execs = [(command, host) for host, traffic in done.items() for command in traffic.execs]
    execs.sort(key=lambda pair: pair[0].number)
    return [f"{host}: {_job(command)}" for command, host in execs]


def stdin_of(traffic: Traffic, job: str) -> Any:
    [one] = [command for command in traffic.execs if _job(command) == job]
    return json.loads(one.stdin)


def test_a_new_developer_restarts_nothing(plans: Planned, project: Path) -> None:
    before = found(plans("prod"))
    edit(project, "prod", "users: [ada, grace]", "users: [ada, grace, lin]")
    after = plans("prod")
    for name in ("dev-1", "dev-2"):
        before[name] |= {("user", "lin"): ("/home/lin",)}
    done = mirror(after.hosts, before)
    assert ordered_jobs(done) == [
        "gw-a: keys",
        "gw-b: keys",
        "dev-1: home files",
        "dev-2: home files",
        "dev-1: machine files",
        "dev-2: machine files",
        "gw-a: former keys",
        "gw-b: former keys",
    ]
    names = [key["name"] for key in json.loads(stdin_of(done["gw-a"], "keys")["keys"])["keys"]]
    assert names == ["ada", "grace", "lin"]


def test_the_key_of_a_removed_developer_is_revoked_and_the_revocation_is_tested(
    plans: Planned, project: Path
) -> None:
    before = found(plans("prod"))
    key = before["dev-1"]["home_file", "grace", ".claude/mirrorfleet-key"][1]
    for name in ("dev-1", "dev-2"):
        before[name]["assignments", ASSIGNMENT_LIST, "grace"] = (".claude",)
    edit(project, "prod", "users: [ada, grace]", "users: [ada]")
    done = mirror(plans("prod").hosts, before)
    assert stdin_of(done["gw-b"], "former keys")["dead"] == [base64.b64decode(key).decode()]
    assert [
        each["name"] for each in json.loads(stdin_of(done["gw-b"], "keys")["keys"])["keys"]
    ] == ["ada"]


def test_a_rotation_changes_gateways_then_clients_and_then_revokes_former_keys(
    plans: Planned, project: Path
) -> None:
    before = found(plans("prod"))
    edit(project, "prod", "MIRRORFLEET_KEY_ROOT}", "MIRRORFLEET_KEY_ROOT}, rotation: 2")
    done = mirror(plans("prod").hosts, before)
    assert ordered_jobs(done) == [
        "gw-a: keys",
        "gw-b: keys",
        "dev-1: home files",
        "dev-2: home files",
        "gw-a: former keys",
        "gw-b: former keys",
    ]
    assert stdin_of(done["gw-a"], "keys")["grace"] == 7 * 24 * 3600
    assert stdin_of(done["gw-a"], "former keys")["reached"] == ["ada", "grace"]


def test_former_keys_stay_valid_for_developers_that_the_run_did_not_reach(
    plans: Planned, project: Path
) -> None:
    before = found(plans("prod"))
    edit(project, "prod", "MIRRORFLEET_KEY_ROOT}", "MIRRORFLEET_KEY_ROOT}, rotation: 2")
    done = mirror(plans("prod").hosts, before, {"dev-2": ["runuser"]})
    assert done["dev-2"].failed
    assert stdin_of(done["gw-a"], "former keys")["reached"] == []


def test_former_keys_stay_valid_for_machines_that_are_off(
    plans: Planned, project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = found(plans("prod"))
    edit(project, "prod", "MIRRORFLEET_KEY_ROOT}", "MIRRORFLEET_KEY_ROOT}, rotation: 2")
    planned = plans("prod")
    done = mirror(planned.hosts, before, lost=["dev-2"])
    assert not any(each.failed for each in done.values())
    assert stdin_of(done["gw-a"], "former keys")["reached"] == []
    assert "offline, left for a later run: @fake/dev-2 (the host does not answer: EOFError)" in (
        caplog.text
    )

    gateway = planned.hosts["gw-a"].gateway
    assert gateway
    end = later(3600)
    former = gateway_keys(gateway, *(entry(name, f"sk-{name}", expires=end) for name in ("ada",)))
    after = found(planned)
    after |= {name: after[name] | former for name in ("gw-a", "gw-b")}
    caplog.clear()
    mirror(planned.hosts, after, lost=["dev-2"])
    [note] = [line for line in caplog.messages if "note:" in line]
    assert f"the former key of ada ends at {end}, and dev-2 may still use it" in note


def test_clients_wait_for_their_gateways(plans: Planned, project: Path) -> None:
    before = found(plans("prod"))
    edit(project, "prod", "MIRRORFLEET_KEY_ROOT}", "MIRRORFLEET_KEY_ROOT}, rotation: 2")
    waiting = {name: ["skipped because"] for name in ("dev-1", "dev-2")}
    done = mirror(plans("prod").hosts, before, {"gw-b": ["' admit /opt"], **waiting})
    assert jobs(done["gw-a"]) == BOTH
    assert jobs(done["dev-1"]) == ["skipped"]
    assert stdin_of(done["gw-a"], "former keys")["reached"] == []


def entry(name: str, key: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "group": "team",
        "role": "developer",
        **more,
        "sha256": sha256(key.encode()).hexdigest(),
    }


def later(seconds: int) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")


def test_a_former_key_stays_valid_until_its_machine_is_reached(plans: Planned) -> None:
    planned = plans("prod")
    answers = found(planned)
    gateway = planned.hosts["gw-a"].gateway
    assert gateway
    answers["gw-a"] |= gateway_keys(gateway, entry("ada", "sk-former", expires=later(3600)))
    without = {name: plan for name, plan in planned.hosts.items() if name != "dev-2"}
    assert jobs(mirror(without, answers)["gw-a"]) == []
    assert jobs(mirror(planned.hosts, answers)["gw-a"]) == ["former keys"]


@pytest.mark.parametrize(
    "wrong", [{"name": "linus"}, {"expires": later(-5)}, {"expires": later(10**7)}, {"expires": 1}]
)
def test_an_invalid_former_key_is_removed(plans: Planned, wrong: dict[str, Any]) -> None:
    planned = plans("prod")
    answers = found(planned)
    gateway = planned.hosts["gw-a"].gateway
    assert gateway
    former = entry("ada", "sk-former", expires=later(3600)) | wrong
    answers["gw-a"] |= gateway_keys(gateway, former)
    without = {name: plan for name, plan in planned.hosts.items() if name != "dev-2"}
    assert jobs(mirror(without, answers)["gw-a"]) == ["former keys"]


@pytest.mark.parametrize(
    ("root", "reason"),
    [
        ("too-short", "is 9 characters long; the minimum is 32"),
        ("x" * 40, "has too few different characters"),
    ],
)
def test_a_weak_root_ends_the_run_before_any_change(
    plans: Planned, monkeypatch: pytest.MonkeyPatch, root: str, reason: str
) -> None:
    planned = plans("prod")
    answers = found(planned)
    monkeypatch.setenv("MIRRORFLEET_KEY_ROOT", root)
    monkeypatch.setenv("LITELLM_MASTER_KEY", "sk-1234")
    secrets._reveal.cache_clear()
    with pytest.raises(DeployError) as caught:
        mirror(planned.hosts, answers)
    message = str(caught.value)
    hosts = ", ".join(f"@fake/{name}" for name in ("gw-a", "gw-b", "dev-1", "dev-2"))
    cause = f"keys cannot be derived from {{env: MIRRORFLEET_KEY_ROOT}}: it {reason}. "
    assert f"{hosts}: {cause}" in message
    assert (
        "gw-b: the master key {env: LITELLM_MASTER_KEY} is shorter than 16 characters." in message
    )
    assert root not in message


def test_a_weak_root_ends_a_run_without_gateways_too(
    plans: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plans("prod")
    answers = found(planned)
    monkeypatch.setenv("MIRRORFLEET_KEY_ROOT", "too-short")
    secrets._reveal.cache_clear()
    with pytest.raises(DeployError, match="dev-1: keys cannot be derived"):
        mirror(planned.hosts, answers, limit=["dev-1"])


def test_a_short_master_key_ends_the_run_before_any_change(
    plans: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plans("prod")
    answers = found(planned)
    monkeypatch.setenv("LITELLM_MASTER_KEY", "sk-1234")
    secrets._reveal.cache_clear()
    with pytest.raises(DeployError, match="shorter than 16 characters") as caught:
        mirror(planned.hosts, answers)
    assert "sk-1234" not in str(caught.value)


# The real program, as root, in a directory.


@pytest.fixture
def ring(machine: Machine) -> Path:
    machine.at(KEYS).parent.mkdir()
    machine.at("/proc/net").symlink_to("/proc/net")
    return machine.at(KEYS)


def run(machine: Machine, job: str, **arguments: Any) -> subprocess.CompletedProcess[str]:
    """Run a job with the real command; root replaces the group of the service."""
    url = [arguments.pop("url")] if "url" in arguments else []
    command = keys._command(job, *url).replace(USER, "root")
    return machine.run(script(command, json.dumps(arguments)))


def admit(machine: Machine, *entries: dict[str, Any], grace: int = 3600) -> None:
    done = run(machine, "admit", keys=keyring.document([*entries], []), grace=grace)
    assert (done.returncode, done.stderr) == (0, "")


def names(path: Path) -> list[tuple[str, str]]:
    return [(entry["name"], entry["sha256"][:4]) for entry in keyring.entries(path).values()]


def short_digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()[:4]


def test_rotated_keys_stay_valid_and_keys_of_removed_developers_do_not(
    machine: Machine, ring: Path
) -> None:
    admit(machine, entry("ada", "one"), entry("lin", "his"))
    admit(machine, entry("ada", "two", models=["coder"], expires=later(600)))
    assert names(ring / "keys.json") == [("ada", short_digest("two"))]
    assert names(ring / "former.json") == [("ada", short_digest("one"))]
    [former] = keyring.entries(ring / "former.json").values()
    assert former["models"] == ["coder"], "the former key has the access of the present one"
    assert former["expires"] <= later(600), "nor for longer"
    admit(machine, entry("ada", "one"))
    assert names(ring / "keys.json") == [("ada", short_digest("one"))]
    assert names(ring / "former.json") == [("ada", short_digest("two"))]
    admit(machine, entry("lin", "his"))
    assert names(ring / "former.json") == []


def test_only_the_service_can_read_the_key_files(machine: Machine, ring: Path) -> None:
    admit(machine, entry("ada", "one"))
    modes = {path.name: f"{path.stat().st_mode & 0o777:o}" for path in [ring, *ring.iterdir()]}
    assert modes == {"keys": "750", "keys.json": "640", "former.json": "640"}


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"keys": [1]}'])
def test_invalid_key_files_are_replaced(machine: Machine, ring: Path, broken: str) -> None:
    admit(machine, entry("ada", "one"))
    for name in ("keys.json", "former.json"):
        (ring / name).write_text(broken)
    admit(machine, entry("ada", "two"))
    assert names(ring / "keys.json") == [("ada", short_digest("two"))]


@contextmanager
def gateway(*alive: str) -> Iterator[str]:
    """Run a stand-in for LiteLLM that accepts these keys."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            key = self.headers["Authorization"].removeprefix("Bearer ")
            self.send_response(200 if key in alive else 401)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/models"
    server.shutdown()


def test_a_run_revokes_former_keys_and_tests_that_they_are_rejected(
    machine: Machine, ring: Path
) -> None:
    admit(machine, entry("ada", "one"), entry("lin", "his"))
    admit(machine, entry("ada", "two"), entry("lin", "new"))
    arguments = {"grace": 3600, "reached": ["ada"], "dead": ["one", "his", "sk-never"]}
    with gateway("his") as url:
        done = run(machine, "retire", url=url, **arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "the former key of lin stays valid until" in done.stdout
    assert "tried 2 revoked keys: 2 are rejected" in done.stdout
    assert names(ring / "former.json") == [("lin", short_digest("his"))]


def test_a_revoked_key_that_is_accepted_fails_the_run(machine: Machine, ring: Path) -> None:
    admit(machine, entry("ada", "one"))
    arguments = {"grace": 3600, "reached": [], "dead": ["sk-left"]}
    with gateway("sk-left") as url:
        done = run(machine, "retire", url=url, **arguments)
    assert done.returncode == 1
    assert "a revoked key was answered 200, not 401" in done.stderr
    assert "sk-left" not in done.stdout + done.stderr
    done = run(machine, "retire", url="http://127.0.0.1:9/v1/models", **arguments)
    assert "was answered by no process, not 401" in done.stderr


def test_another_users_process_on_the_port_gets_no_key(machine: Machine, ring: Path) -> None:
    arguments = {"grace": 3600, "reached": [], "dead": ["sk-left"]}
    with gateway() as url:
        command = keys._command("retire", url).replace(USER, "daemon")
        done = machine.run(script(command, json.dumps(arguments)))
    assert done.returncode == 1
    assert "was answered by another process, not 401" in done.stderr
