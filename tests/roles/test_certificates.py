"""Until when the load balancer's certificate is valid: on its host, in warnings, in the metrics."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from socketserver import StreamRequestHandler, UnixStreamServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from mirrorfleet.planning import LoadBalancerPlan
from mirrorfleet.planning.tls_servers import TlsServer
from mirrorfleet.roles.litellm.environment import hooks
from mirrorfleet.roles.litellm.files import mirrorfleet_certificates as metrics
from mirrorfleet.roles.litellm.scripts import scripts
from mirrorfleet.roles.load_balancer import certificate, render
from mirrorfleet.roles.load_balancer.certificate import Certificates, LoadedSerial
from mirrorfleet.runtime.observe import Observation, parse, script
from tests.lab import certificates as authority
from tests.lab.certificates import Signed, sign
from tests.roles.conftest import Planned
from tests.roles.fleets import edit
from tests.roles.test_load_balancer import SECTION
from tests.roles.tls_server import tls_server

PATH = "/etc/ssl/private/llm.pem"


@pytest.fixture(name="signed", scope="module")
def signed_certificate() -> Signed:
    return sign("localhost", IPv4Address("127.0.0.1"))


@pytest.fixture(name="plan")
def balanced(plans: Planned) -> LoadBalancerPlan:
    found = plans("front").hosts["lb"].load_balancer
    assert found
    return found


def end_of(signed: Signed) -> datetime:
    return x509.load_pem_x509_certificate(signed.certificate).not_valid_after_utc


def observed(path: Path, *serial: str) -> Observation:
    """Return what the real shell function reads; HAProxy's answer is given."""
    facts = [Certificates(str(path)), LoadedSerial(str(path))]
    done = subprocess.run(["sh", "-s"], input=script(facts), stdout=subprocess.PIPE, text=True)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("loaded_")]
    return parse(facts, [*lines, *(f"loaded_certificate\t{path}\t{each}" for each in serial)])


def at_path(plan: LoadBalancerPlan, path: Path) -> LoadBalancerPlan:
    fields = {**vars(plan), "certificate": None, "key": None, "certificate_path": str(path)}
    return LoadBalancerPlan(**fields)


def test_the_key_stays_on_the_host(signed: Signed, tmp_path: Path) -> None:
    path = tmp_path / "llm.pem"
    path.write_bytes(signed.certificate + signed.key + signed.authority)
    read = observed(path)[Certificates(str(path))]
    assert read == signed.certificate + signed.authority
    assert observed(tmp_path / "missing")[Certificates(str(tmp_path / "missing"))] is None


@pytest.mark.parametrize("key_first", [False, True], ids=["key last", "key first"])
def test_the_key_stays_on_the_host_if_a_certificate_has_no_end(
    key_first: bool, signed: Signed, tmp_path: Path
) -> None:
    path = tmp_path / "llm.pem"
    cut = signed.certificate.partition(b"-----END")[0]
    path.write_bytes(signed.key + cut if key_first else cut + signed.key)
    assert observed(path)[Certificates(str(path))] == cut


def test_the_earliest_end_of_a_chain_counts(signed: Signed) -> None:
    assert certificate.ends(signed.authority + signed.certificate) == min(
        end_of(signed), end_of(Signed(b"", signed.authority, b""))
    )
    assert certificate.ends(b"") is None
    assert certificate.ends(b"-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----") is None
    der = x509.load_pem_x509_certificate(signed.certificate).public_bytes(Encoding.DER)
    version_6 = der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05", 1)
    assert certificate.ends(ssl.DER_cert_to_PEM_cert(version_6).encode()) is None


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (timedelta(days=14, seconds=1), None),
        (timedelta(days=13, hours=23), "expires in 13 days, on "),
        (timedelta(days=1, hours=1), "expires in 1 day, on "),
        (timedelta(hours=1), "expires in 0 days, on "),
        (timedelta(0), "has expired on "),
    ],
)
def test_a_warning_from_14_days_on(
    before: timedelta, expected: str | None, signed: Signed, plan: LoadBalancerPlan, tmp_path: Path
) -> None:
    path = tmp_path / "llm.pem"
    path.write_bytes(signed.certificate)
    end = end_of(signed)
    own = at_path(plan, path)
    found = list(certificate.problems(own, observed(path), end - before))
    assert all(problem.severity == "warning" for problem in found), "a run can renew it"
    texts = [problem.text for problem in found]
    if expected is None:
        assert texts == []
    else:
        [text] = texts
        assert f"the load balancer's certificate {path} {expected}{end:%Y-%m-%d}" in text
        assert "systemctl reload mirrorfleet-front" in text
    validity = certificate.validity(own, observed(path), end - before)
    assert validity
    assert (validity.file, validity.days) == (str(path), before // timedelta(days=1))
    assert validity.until == end.isoformat()


def test_a_chain_that_ends_before_the_certificate_is_called_so(
    signed: Signed, plan: LoadBalancerPlan, tmp_path: Path
) -> None:
    path, now, key = (
        tmp_path / "llm.pem",
        datetime.now(UTC),
        ec.generate_private_key(ec.SECP256R1()),
    )
    name, tomorrow = x509.Name([]), now + timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, tomorrow)
    other = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    path.write_bytes(signed.certificate + other)
    [problem] = certificate.problems(at_path(plan, path), observed(path), tomorrow)
    assert f"a certificate of the chain in {path} has expired" in problem.text
    assert "clients may reject it" in problem.text


def test_a_pushed_certificate_is_the_one_of_the_run(
    signed: Signed, plan: LoadBalancerPlan, tmp_path: Path
) -> None:
    """The host may still have the old one, which the run replaces."""
    pushed = tmp_path / "llm.pem"
    pushed.write_bytes(signed.certificate)
    own = LoadBalancerPlan(**{**vars(plan), "certificate": pushed})
    nothing = observed(tmp_path / "missing")
    assert list(certificate.problems(own, nothing)) == []
    [problem] = certificate.problems(own, nothing, end_of(signed) - timedelta(days=2))
    assert f"{pushed} expires in 2 days" in problem.text
    assert "Replace the file, and apply." in problem.text


def test_a_renewed_file_that_haproxy_has_not_loaded(
    signed: Signed, plan: LoadBalancerPlan, tmp_path: Path
) -> None:
    path = tmp_path / "llm.pem"
    path.write_bytes(signed.certificate)
    serial = x509.load_pem_x509_certificate(signed.certificate).serial_number
    own = at_path(plan, path)
    assert list(certificate.problems(own, observed(path, f"{serial:X}"))) == []
    assert list(certificate.problems(own, observed(path, ""))) == [], "HAProxy does not run"
    [problem] = certificate.problems(own, observed(path, f"{serial + 1:X}"))
    assert f"HAProxy serves an older certificate than that of {path}" in problem.text


HAPROXY = """\
Filename: {path}
Status: Used
Serial: 0B55FC272A2E2D15845736EDE9574E63BC92C167
notBefore: Nov 30 11:06:08 2026 GMT
Subject: /CN=llm.example.com
"""
"""The start of the answer of HAProxy 2.6.12 to `show ssl cert`. It has no such line for others."""

SOCAT = """\
#!{python}
import socket, sys
with socket.socket(socket.AF_UNIX) as client:
    client.connect(sys.argv[-1].removeprefix("UNIX-CONNECT:"))
    client.sendall(sys.stdin.buffer.read())
    sys.stdout.buffer.write(client.recv(4096))
"""
"""A stand-in for socat."""


def test_the_serial_number_is_read_from_haproxys_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            command = self.rfile.readline().decode()
            is_known = command == f"show ssl cert {PATH}\n"
            answer = HAPROXY.format(path=PATH) if is_known else "Can't display the certificate.\n"
            self.wfile.write(answer.encode())

    program = tmp_path / "socat"
    program.write_text(SOCAT.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    facts = [LoadedSerial(PATH), LoadedSerial("/etc/other.pem")]
    path = str(tmp_path / "admin.sock")
    text = script(facts).replace(render.SOCKET, path)

    def read() -> list[int | None]:
        done = subprocess.run(["sh", "-s"], input=text, stdout=subprocess.PIPE, text=True)
        found = parse(facts, done.stdout.splitlines())
        return [found[fact] for fact in facts]

    assert read() == [None, None], "HAProxy does not run"
    with UnixStreamServer(path, Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            assert read() == [0x0B55FC272A2E2D15845736EDE9574E63BC92C167, None]
        finally:
            server.shutdown()
            thread.join()


def test_the_socket_of_the_facts_is_that_of_haproxy() -> None:
    assert f"\nsocket={render.SOCKET}\n" in certificate.SHELL.read_text("utf-8")


@pytest.mark.parametrize(
    ("days", "name", "host"),
    [
        (365, "llm.example.com", "llm.example.com"),
        (-0.5, "llm.example.com", "llm.example.com"),
        (365, "2001:db8::1", "[2001:db8::1]"),
    ],
    ids=["valid", "expired", "an address of IPv6"],
)
def test_a_gateway_measures_what_a_server_presents(
    days: float, name: str, host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authority, "DAYS", days)
    signed = sign("localhost", IPv4Address("127.0.0.1"))
    with tls_server(signed, tmp_path) as (port, requests):
        server = metrics.Server(name="lb", address="127.0.0.1", port=port, server_name=name)
        found: list[tuple[str, str, float]] = []
        report = partial(_noted, found)
        asyncio.run(metrics.measure(server, report))
    assert requests == [f"/health/readiness {host}"]
    end = end_of(signed).timestamp()
    assert found == [(metrics.END, "lb", end), (metrics.READ, "lb", 1)]
    found.clear()
    asyncio.run(metrics.measure(server, report))
    assert found == [(metrics.READ, "lb", 0)], "the server has ended: the last known end stays"


def _noted(found: list[tuple[str, str, float]], name: str, server: str, value: float) -> None:
    found.append((name, server, value))


METRICS = ("workers: 2, master_key", "workers: 2, metrics: {port: 9464}, master_key")
NAMED = ("metrics:", 'url: "https://llm.example.com", metrics:')


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([], []),
        ([METRICS], [TlsServer("lb", "10.0.0.4", 443, "10.0.0.4")]),
        ([METRICS, NAMED], [TlsServer("lb", "10.0.0.4", 443, "llm.example.com")]),
        (
            [
                METRICS,
                ("metrics:", 'url: "https://llm.example.com:8443", metrics:'),
                (SECTION, ""),
            ],
            [TlsServer(*(2 * ("llm.example.com",)), 8443, "llm.example.com")],
        ),
    ],
    ids=["no metrics", "an address", "a name", "a foreign load balancer"],
)
def test_gateways_with_metrics_watch_what_developers_reach(
    edits: list[tuple[str, str]], expected: list[TlsServer], plans: Planned, project: Path
) -> None:
    for old, new in edits:
        edit(project, "front", old, new)
    plan = plans("front").hosts["gw-a"].gateway
    assert plan
    assert list(plan.tls_servers) == expected
    assert ("mirrorfleet_certificates:install" in hooks(plan, 2)) == bool(expected)
    assert ("mirrorfleet_certificates.py" in scripts(plan)) == bool(expected)
