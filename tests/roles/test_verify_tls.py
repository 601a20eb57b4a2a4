"""`verify` through TLS with a certificate of a private authority, as in the lab."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from mirrorfleet.jobs.verify import day, turns
from mirrorfleet.jobs.verify.targets import Target
from tests.lab.certificates import sign
from tests.roles.fleets import good
from tests.roles.real_client import SHELL, needed, unpacked
from tests.roles.recorder import Recorder, recorder


@pytest.fixture(name="authority")
def signing(tmp_path: Path) -> Path:
    signed = sign("localhost", IPv4Address("127.0.0.1"))
    (tmp_path / "server.pem").write_bytes(signed.certificate + signed.key)
    (tmp_path / "authority.pem").write_bytes(signed.authority)
    return tmp_path / "authority.pem"


@pytest.fixture
def gateway(authority: Path) -> Iterator[Recorder]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.with_name("server.pem"))
    with recorder(context) as found:
        yield found


def asked(gateway: Recorder, home: Path, environment: Mapping[str, str]) -> set[int]:
    """Send the requests of a day; return the statuses of the answers."""
    plan = next(host.gateway for host in good("one-machine").hosts.values() if host.gateway)
    known = day.day(plan, "me", "coder")
    assert known
    target = Target(
        *("box", "me", "me", "user", "true", ".claude", "", gateway.url, 0, ()),
        environment=environment,
        days=(known,),
    )
    (home / ".claude").mkdir(exist_ok=True)
    (home / ".claude/mirrorfleet-key").write_text("sk-of-a-developer\n")
    done = subprocess.run(
        ["sh", "-s"],
        input="\n".join([turns.shared(), turns.developer_script(target)]),
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    lines = ["machine\tdebian\t12\tx86_64\t4\t8388608", "developer\tme\tme"]
    report = turns.parse_report([], [*lines, *done.stdout.splitlines()])
    return {answer["status"] for answer in turns.answers(report.turns["me", "me"])}


@pytest.mark.slow
def test_the_requests_of_a_day_trust_the_certificates_of_the_fleet(
    gateway: Recorder, authority: Path, tmp_path: Path
) -> None:
    assert asked(gateway, tmp_path, {}) == {0}
    assert gateway.asked == []
    assert asked(gateway, tmp_path, {"NODE_EXTRA_CA_CERTS": str(authority)}) == {200}
    assert {body["keys"] for body in gateway.asked} == {("Bearer sk-of-a-developer", None)}


@needed
@pytest.mark.client
def test_the_client_trusts_the_authority_of_the_lab(
    gateway: Recorder, authority: Path, tmp_path: Path
) -> None:
    answers = {}
    with unpacked(tmp_path) as client:
        for trusted in (str(authority), ""):
            shell = {**SHELL, "HOME": str(tmp_path), "CLAUDE_CODE_MAX_RETRIES": "0"}
            shell |= {"ANTHROPIC_BASE_URL": gateway.url, "NODE_EXTRA_CA_CERTS": trusted}
            done = subprocess.run(
                [client, "-p", "Say something."],
                env=shell,
                cwd=tmp_path,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=120,
            )
            answers[bool(trusted)] = (done.returncode == 0, "heard" in done.stdout)
    assert answers == {True: (True, True), False: (False, False)}
