"""The load balancer's certificate: until when it is valid, and whether HAProxy has loaded it.

The earliest end of all certificates in the file counts: clients may reject a chain with an expired
one.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mirrorfleet.config import reading
from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import LoadBalancerPlan
from mirrorfleet.roles.load_balancer.render import NAME, PEM
from mirrorfleet.runtime.facts import Fact, Lines, last
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.problems import warning

if TYPE_CHECKING:
    from cryptography import x509

SHELL = Path(__file__).parent / "files" / "facts.sh"

SOON = timedelta(days=14)
"""Mirrorfleet warns from this time before the end on, as the alert in monitoring/rules.yml does."""


@dataclass(frozen=True)
class Certificates(Fact[bytes | None]):
    """The certificates in a file, in PEM format without the key; ``None`` without a file."""

    path: str

    function = "certificates"
    shell = (SHELL,)

    def value(self, lines: Lines) -> bytes | None:
        packed = last(lines)
        return None if packed is None else base64.b64decode(packed)


@dataclass(frozen=True)
class LoadedSerial(Fact[int | None]):
    """The serial number of the certificate that HAProxy has loaded from a file.

    ``None`` if HAProxy does not run, or does not know the file.
    """

    path: str

    function = "loaded_certificate"
    shell = (SHELL,)

    def value(self, lines: Lines) -> int | None:
        digits = last(lines)
        return int(digits, 16) if digits else None


@dataclass(frozen=True)
class Validity:
    """A certificate on a host: its ``file``, its end (``until``, ISO 8601 in UTC), whole days left.

    ``days`` is negative after the end.
    """

    file: str
    until: str
    days: int


def facts(plan: LoadBalancerPlan) -> Iterator[Fact[object]]:
    """Yield what to read of a load balancer's certificate on its host."""
    if path := file(plan):
        yield Certificates(path)
    if plan.certificate_path:
        yield LoadedSerial(plan.certificate_path)


def file(plan: LoadBalancerPlan) -> str | None:
    """Return the file with the certificate on the host; ``None`` without TLS."""
    if plan.certificate:
        return f"{ROOT}/{NAME}/current/{PEM}"
    return plan.certificate_path


def validity(
    plan: LoadBalancerPlan, observed: Observation, now: datetime | None = None
) -> Validity | None:
    """Return until when the certificate on the host is valid; ``None`` if it cannot be read."""
    path = file(plan)
    if path is None or not (end := ends(observed[Certificates(path)])):
        return None
    left = end - (now or datetime.now(UTC))
    return Validity(path, end.isoformat(), left // timedelta(days=1))


def problems(
    plan: LoadBalancerPlan, observed: Observation, now: datetime | None = None
) -> Iterator[Problem]:
    """Yield a warning if the certificate of this run ends soon, or if HAProxy has an older one."""
    now = now or datetime.now(UTC)
    path = plan.certificate_path
    if path is None:
        yield from _soon(str(plan.certificate), _pushed(plan), now, "Replace the file, and apply.")
        return
    text = observed[Certificates(path)]
    reload = f"run `systemctl reload mirrorfleet-{NAME}` on the host"
    yield from _soon(path, text, now, f"Renew it, and {reload}.")
    loaded = observed[LoadedSerial(path)]
    first = next(iter(_parsed(text)), None)
    if loaded is not None and first and first.serial_number != loaded:
        yield warning(
            f"HAProxy serves an older certificate than that of {path}.",
            f"{reload[0].upper()}{reload[1:]}.",
        )


def _soon(name: str, text: bytes | None, now: datetime, fix: str) -> Iterator[Problem]:
    end = ends(text)
    if end is None or end - now >= SOON:
        return
    what, effect = f"the load balancer's certificate {name}", "clients reject it"
    if end != _parsed(text)[0].not_valid_after_utc:  # clients may know another way to a root
        what, effect = f"a certificate of the chain in {name}", "clients may reject it"
    if end <= now:
        yield warning(f"{what} has expired on {end:%Y-%m-%d}: {effect}.", fix)
    else:
        days = (end - now) // timedelta(days=1)
        left = f"{days} day{'' if days == 1 else 's'}"
        yield warning(f"{what} expires in {left}, on {end:%Y-%m-%d}.", fix)


def _pushed(plan: LoadBalancerPlan) -> bytes | None:
    """Return the certificate that this run uploads; a file that cannot be read is another error."""
    if plan.certificate is None:
        return None
    try:
        return reading.text(plan.certificate).encode()
    except reading.Unreadable:
        return None


def ends(text: bytes | None) -> datetime | None:
    """Return the earliest end of certificates in PEM format; ``None`` if there are none."""
    return min((each.not_valid_after_utc for each in _parsed(text)), default=None)


def _parsed(text: bytes | None) -> list[x509.Certificate]:
    from cryptography import x509  # only for a fleet with a load balancer

    try:
        return x509.load_pem_x509_certificates(text or b"")
    except (ValueError, x509.InvalidVersion):  # HAProxy itself reports what is wrong with it
        return []
