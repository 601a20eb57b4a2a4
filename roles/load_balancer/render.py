"""Pure: from the plan of a load balancer to HAProxy's configuration and unit."""

from __future__ import annotations

from pathlib import Path

from mirrorfleet.config.addresses import is_any
from mirrorfleet.planning import LoadBalancerPlan
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.service import Installed, Service
from mirrorfleet.runtime.shell import shell
from mirrorfleet.runtime.text import template

NAME = "front"
USER = "mirrorfleet-front"
TEMPLATES = Path(__file__).parent / "templates"
HOOKS = Path(__file__).parent / "files" / "hooks.sh"

PEM = "certificate.pem"
"""The pushed certificate and its key."""

SOCKET = "/run/mirrorfleet-front/admin.sock"

# A reload leaves the process its environment; this is read again, and hands it on.
STAMP = "global\n    setenv MIRRORFLEET_GENERATION {generation}\n"


def installed(front: LoadBalancerPlan) -> Installed:
    """Return what holds for every generation."""
    scheme = "https" if is_tls(front) else "http"
    return Installed(
        name=NAME,
        user=USER,
        port=front.port,
        software=None,
        hooks=shell(HOOKS, socket=SOCKET, url=f"{scheme}://{_bracketed(_probed(front.listen))}"),
        seconds=30,
        restart="reload-or-restart",
    )


def service(front: LoadBalancerPlan, certificate: str | None) -> Service:
    """Return the service; ``certificate`` is the PEM text of one that is pushed, with its key."""
    return Service(
        **vars(installed(front)),
        unit=template(
            TEMPLATES / "unit.service.j2",
            user=USER,
            directory=f"{ROOT}/{NAME}",
            stop=front.stop_timeout + 30,
        ),
        environment={},
        files={
            "haproxy.cfg": configuration(front),
            **({PEM: certificate} if certificate else {}),
        },
        secret_files=frozenset({PEM}),
        stamp=STAMP,
        check=("/usr/sbin/haproxy", "-c", "-q", "-f", "haproxy.cfg", "-f", "stamp.cfg"),
    )


def configuration(front: LoadBalancerPlan) -> str:
    """Return haproxy.cfg."""
    return template(
        TEMPLATES / "haproxy.cfg.j2",
        bind=f"{_bracketed(front.listen)}:{front.port}",
        certificate=(front.certificate_path or PEM) if is_tls(front) else None,
        socket=SOCKET,
        gateways=front.gateways,
        timeout=front.timeout,
        stop=front.stop_timeout,
        passthrough=front.passthrough,
    )


def is_tls(front: LoadBalancerPlan) -> bool:
    return bool(front.certificate or front.certificate_path)


def _probed(listen: str) -> str:
    """Return where the load balancer is reached on its own host."""
    if not is_any(listen):
        return listen
    return "::1" if ":" in listen else "127.0.0.1"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
