"""Tests of the load balancer: its order in a run, certificates, and HAProxy's configuration."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from pyinfra.api.exceptions import DeployError

from mirrorfleet.roles.load_balancer import render
from tests.roles.answers import bare, converged
from tests.roles.conftest import Planned
from tests.roles.fake import mirror
from tests.roles.fleets import SECRETS, edit, good
from tests.roles.jobs import jobs

SECTION = (
    "load_balancer: {hosts: [lb], certificate: {push: ../tls/llm.pem}, "
    "key: {file: ../tls/llm.key}}\n"
)

OTHER = "another-private-key-of-the-tests"

pytestmark = pytest.mark.usefixtures("offline_cache")


def test_a_load_balancer_changes_after_the_gateways_and_is_reloaded(plans: Planned) -> None:
    hosts = plans("front").hosts
    done = mirror(hosts, {name: bare(plan) for name, plan in hosts.items()})
    calls = done["lb"].execs
    assert jobs(done["lb"])[:2] == ["ports", "packages"]
    assert "\ninstall_packages haproxy socat curl python3\n" in calls[1].command, (
        "after its ports are reserved"
    )
    assert jobs(done["lb"])[-2:] == ["generation", "restart"]
    assert max(call.number for call in done["gw-b"].execs) < calls[-1].number
    assert "\nrestart=reload-or-restart\n" in calls[-1].command
    assert any("disable --now haproxy.service" in call.command for call in calls)


def test_a_removed_load_balancer_stops_after_the_clients_changed(
    plans: Planned, project: Path
) -> None:
    found = {name: converged(plan) for name, plan in plans("front").hosts.items()}
    found["lb"] |= {("services", "front", "front"): ()}
    edit(project, "front", SECTION, "")
    edit(project, "front", "hosts: [gw-a, gw-b]", 'hosts: [gw-a, gw-b], url: "http://gw-a:4000"')
    done = mirror(plans("front").hosts, found)
    assert jobs(done["lb"]) == ["removal", "no ports"]
    assert done["dev"].execs[-1].number < done["lb"].execs[-1].number


def test_a_haproxy_installed_before_stays_enabled(plans: Planned) -> None:
    hosts = plans("front").hosts
    found = bare(hosts["lb"]) | {("package", "haproxy"): ()}
    done = mirror({"lb": hosts["lb"]}, {"lb": found})
    assert not any("haproxy.service" in call.command for call in done["lb"].execs)


def test_the_load_balancer_is_skipped_if_a_gateway_fails(plans: Planned) -> None:
    hosts = plans("front").hosts
    answers = {name: bare(plan) for name, plan in hosts.items()}
    done = mirror(hosts, answers, fail={"gw-a": ["systemctl"]})
    assert jobs(done["lb"])[-1] == "skipped"


def test_no_diff_shows_the_private_key(
    plans: Planned, project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    hosts = plans("front").hosts
    found = {name: converged(plan) for name, plan in hosts.items()}
    other = f"-----BEGIN PRIVATE KEY-----\n{OTHER}\n-----END PRIVATE KEY-----\n"
    (project / "tls/other.key").write_text(other)
    edit(project, "front", "tls/llm.key", "tls/other.key")
    done = mirror(plans("front").hosts, found, diff=True)
    assert jobs(done["lb"]) == ["generation", "restart"]
    assert "front: certificate.pem differs" in caplog.text
    assert OTHER not in caplog.text
    assert SECRETS["key"] not in caplog.text
    assert OTHER not in "".join(call.command for call in done["lb"].execs)


@pytest.mark.parametrize(
    ("path", "replacement", "reason"),
    [
        ("tls/llm.pem", "tls/none.pem", "No such file"),
        ("tls/llm.pem", "tls/pipe", "Not a regular file"),
        ("tls/llm.key", "tls/pipe", "Not a regular file"),
        ("tls/llm.pem", "tls/llm.key", "has no certificate"),
        ("tls/llm.key", "tls/none.key", "the secret .* is missing"),
    ],
)
def test_a_certificate_that_cannot_be_pushed_is_refused(
    plans: Planned, project: Path, path: str, replacement: str, reason: str
) -> None:
    os.mkfifo(project / "tls/pipe")
    edit(project, "front", path, replacement)
    hosts = plans("front").hosts
    with pytest.raises(DeployError, match=reason):
        mirror(hosts, {name: bare(plan) for name, plan in hosts.items()})


def test_a_certificate_path_that_is_missing_on_the_host_is_refused(
    plans: Planned, project: Path
) -> None:
    edit(
        project,
        "front",
        "certificate: {push: ../tls/llm.pem}, key: {file: ../tls/llm.key}",
        "certificate: {path: /etc/ssl/private/llm.pem}",
    )
    hosts = plans("front").hosts
    with pytest.raises(DeployError, match=r"lb: .* certificate /etc/ssl/private/llm\.pem"):
        mirror(hosts, {name: bare(plan) for name, plan in hosts.items()})


def test_developers_get_the_address_of_the_load_balancer(plans: Planned) -> None:
    clients = plans("front").hosts["dev"].clients
    assert clients
    assert clients.users[0].settings["env"]["ANTHROPIC_BASE_URL"] == "https://10.0.0.4"


def test_each_gateway_on_loopback_gets_a_load_balancer() -> None:
    hosts = good("load-balancer").hosts
    planned = {name: plan.load_balancer for name, plan in hosts.items() if plan.load_balancer}
    assert {name: dict(balancer.gateways) for name, balancer in planned.items()} == {
        "gw-a": {"gw-a": "127.0.0.1:4000"},
        "gw-b": {"gw-b": "127.0.0.1:4000"},
    }
    text = render.configuration(planned["gw-a"])
    assert "bind 10.0.0.2:80\n" in text
    assert "/anthropic/v1/messages" in text
