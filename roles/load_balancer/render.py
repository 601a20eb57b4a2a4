"""Pure: from the plan of a load balancer to HAProxy's configuration and unit."""

from __future__ import annotations

from pathlib import Path

from mirrorfleet.config.addresses import is_any
from mirrorfleet.planning import LoadBalancerPlan
from mirrorfleet.planning.rollout import HEADER, ONLY
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.service import Installed, Service
from mirrorfleet.runtime.shell import shell
from mirrorfleet.runtime.text import template

NAME = "front"
USER = "mirrorfleet-front"
TEMPLATES = Path(__file__).parent / "templates"
HOOKS = Path(__file__).parent / "files" / "hooks.sh"

PEM = "certificate.pem"
"""The file with the pushed certificate and its key."""

SOCKET = "/run/mirrorfleet-front/admin.sock"

# A reload does not change the environment of the process, but reads this configuration again.
STAMP = "global\n    setenv MIRRORFLEET_GENERATION {generation}\n"


def installed(plan: LoadBalancerPlan) -> Installed:
    """Return what all generations share."""
    scheme = "https" if is_tls(plan) else "http"
    return Installed(
        name=NAME,
        user=USER,
        port=plan.port,
        software=None,
        hooks=shell(HOOKS, socket=SOCKET, url=f"{scheme}://{_bracketed(_probed(plan.listen))}"),
        seconds=30,
        restart="reload-or-restart",
    )


def service(plan: LoadBalancerPlan, certificate: str | None) -> Service:
    """Return the service. ``certificate`` is the PEM text of a pushed certificate with its key."""
    return Service(
        **vars(installed(plan)),
        unit=template(
            TEMPLATES / "unit.service.j2",
            user=USER,
            directory=f"{ROOT}/{NAME}",
            stop=plan.stop_timeout + 30,
        ),
        environment={},
        files={
            "haproxy.cfg": configuration(plan),
            **({PEM: certificate} if certificate else {}),
        },
        secret_files=frozenset({PEM}),
        stamp=STAMP,
        check=("/usr/sbin/haproxy", "-c", "-q", "-f", "haproxy.cfg", "-f", "stamp.cfg"),
    )


def configuration(plan: LoadBalancerPlan) -> str:
    """Return haproxy.cfg."""
    return template(
        TEMPLATES / "haproxy.cfg.j2",
        bind=f"{_bracketed(plan.listen)}:{plan.port}",
        certificate=(plan.certificate_path or PEM) if is_tls(plan) else None,
        socket=SOCKET,
        gateways=plan.gateways,
        rings=plan.rings,
        header=HEADER,
        only=ONLY,
        timeout=plan.timeout,
        stop=plan.stop_timeout,
        passthrough=plan.passthrough,
    )


def is_tls(plan: LoadBalancerPlan) -> bool:
    """Return whether the load balancer terminates TLS."""
    return bool(plan.certificate or plan.certificate_path)


def _probed(listen: str) -> str:
    """Return the address of the load balancer on its own host."""
    if not is_any(listen):
        return listen
    return "::1" if ":" in listen else "127.0.0.1"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
