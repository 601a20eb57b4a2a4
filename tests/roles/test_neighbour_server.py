"""What a host passes on, and to whom: the real server, with certificates of a run."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from mirrorfleet.roles.vllm.files.neighbour_server import Offer, Server, context
from mirrorfleet.runtime.run_certificates import make_authority
from tests.roles.test_neighbours import KEY, Hosts, write


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[tuple[Hosts, Offer]]:
    """Yield two hosts, of which gpu-0 passes on one verified file."""
    hosts = Hosts(tmp_path, 3)
    write(hosts.place("gpu-0"))
    offer = Offer(KEY, str(hosts.place("gpu-0")), ["gpu-1"])
    offer.add("config.json")
    server = Server(hosts.share("gpu-0"), [offer])
    server.begin()
    yield hosts, offer
    server.shutdown()
    server.server_close()


def asked(hosts: Hosts, path: str, share: Mapping[str, object], to: str = "gpu-0") -> int:
    """Ask a host for a path with the certificate of ``share``, and return the status."""
    connection = HTTPSConnection(
        hosts.addresses[to], hosts.port, timeout=20, context=context(dict(share), server=False)
    )
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_only_verified_files_of_the_model_are_passed_on(serving: tuple[Hosts, Offer]) -> None:
    hosts, _ = serving
    share = hosts.share("gpu-1")
    assert asked(hosts, f"/{KEY}/config.json", share) == 200
    for path in ("/", "/other", f"/{KEY}/model-01.safetensors", f"/{KEY}/../{KEY}/config.json"):
        assert asked(hosts, path, share) == 404
    assert asked(hosts, f"/{KEY}//etc/passwd", share) == 404


def test_hosts_of_other_models_get_nothing(serving: tuple[Hosts, Offer]) -> None:
    hosts, _ = serving
    assert asked(hosts, f"/{KEY}/config.json", hosts.share("gpu-2")) == 404


def test_a_certificate_of_another_run_is_rejected(serving: tuple[Hosts, Offer]) -> None:
    hosts, _ = serving
    other = {**hosts.share("gpu-1", make_authority()), "authority": hosts.authority.certificate}
    with pytest.raises(OSError):
        asked(hosts, f"/{KEY}/config.json", other)
    assert asked(hosts, f"/{KEY}/config.json", hosts.share("gpu-1")) == 200


def test_a_program_without_a_certificate_is_rejected(serving: tuple[Hosts, Offer]) -> None:
    hosts, _ = serving
    plain = ssl.create_default_context(cadata=hosts.authority.certificate)
    connection = HTTPSConnection("127.0.0.2", hosts.port, timeout=20, context=plain)
    with pytest.raises(OSError):
        connection.request("GET", f"/{KEY}/config.json")
        connection.getresponse()
    connection.close()
    assert asked(hosts, f"/{KEY}/config.json", hosts.share("gpu-1")) == 200


def test_another_program_at_the_port_of_a_host_is_recognized(serving: tuple[Hosts, Offer]) -> None:
    """Also another host of the same run, with a certificate for its own address."""
    hosts, _ = serving
    hosts.addresses["gpu-2"] = hosts.addresses["gpu-0"]
    share = hosts.share("gpu-1")
    hosts.addresses["gpu-0"] = "127.0.0.9"
    server = Server({**hosts.share("gpu-2"), "address": "127.0.0.9"}, [])
    server.begin()
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        asked(hosts, f"/{KEY}", share)
    server.shutdown()
    server.server_close()


def test_a_silent_connection_delays_no_other(serving: tuple[Hosts, Offer]) -> None:
    hosts, _ = serving
    with socket.create_connection(("127.0.0.2", hosts.port)):
        assert asked(hosts, f"/{KEY}/config.json", hosts.share("gpu-1")) == 200
