"""Measure until when the certificates are valid that developers' machines see.

Once per hour, a worker connects to each TLS server of certificates.json as a client does: what the
server presents counts, not what a file of it has. HAProxy's own metrics have no such date.

LiteLLM calls `install` in every worker when it starts (LITELLM_WORKER_STARTUP_HOOKS).
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TypedDict

HOUR = 3600

PATIENCE = 10
"""Maximum seconds for a connection and an answer."""

END, READ = "mirrorfleet_certificate_not_after_timestamp_seconds", "mirrorfleet_certificate_read"

HELP = {
    END: "End of the validity of the certificate that a TLS server presents",
    READ: "Whether the certificate of a TLS server could be read in the last hour",
}

Report = Callable[[str, str, float], None]
"""Sets a metric of a server."""


class Server(TypedDict):
    """A TLS server: ``name`` is its label, ``server_name`` what a client asks for (SNI)."""

    name: str
    address: str
    port: int
    server_name: str


async def end(server: Server) -> datetime:
    """Return the end of the certificate that a server presents, valid or not.

    Raises ``OSError``, or an error of ``cryptography`` for a certificate that it cannot parse.
    """
    from cryptography import x509

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(
        server["address"], server["port"], ssl=context, server_hostname=server["server_name"]
    )
    try:
        # A whole request: a load balancer logs a connection without one as an error.
        name = server["server_name"]
        host = f"[{name}]" if ":" in name else name  # an address of IPv6
        writer.write(b"GET /health/readiness HTTP/1.1\r\nHost: %b\r\n" % host.encode())
        writer.write(b"Connection: close\r\n\r\n")
        await reader.read(1)
        found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(found).not_valid_after_utc
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def measure(server: Server, report: Report) -> None:
    """Report the metrics of a server. If it cannot be reached, the last known end stays."""
    try:
        found = await asyncio.wait_for(end(server), PATIENCE)
    except Exception:  # whatever a server sends: the next hour may be better
        report(READ, server["name"], 0)
    else:
        report(END, server["name"], found.timestamp())
        report(READ, server["name"], 1)


async def _watch(servers: list[Server], report: Report) -> None:
    while True:
        for server in servers:
            await measure(server, report)
        await asyncio.sleep(HOUR)


_tasks: list[asyncio.Task[None]] = []
"""Running tasks: the event loop itself holds no reference to them."""


def install() -> None:
    """Measure the certificates of certificates.json, as long as the worker runs."""
    from prometheus_client import Gauge

    gauges = {
        name: Gauge(name, text, ["server"], multiprocess_mode="mostrecent")
        for name, text in HELP.items()
    }

    def report(name: str, server: str, value: float) -> None:
        gauges[name].labels(server).set(value)

    servers = json.loads(Path(__file__).with_name("certificates.json").read_text("utf-8"))
    _tasks.append(asyncio.get_running_loop().create_task(_watch(servers, report)))
