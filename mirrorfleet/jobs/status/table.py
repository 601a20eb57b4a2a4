"""The status of the fleet as tables and as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from mirrorfleet import terminal
from mirrorfleet.jobs.rings.record import Proof
from mirrorfleet.jobs.status.state import HostState, ServiceState
from mirrorfleet.roles.load_balancer.certificate import SOON
from mirrorfleet.runtime.change_summary import some

GIB = 1024**3


def show(
    found: Mapping[str, HostState], unreachable: Mapping[str, str], offline: Mapping[str, str]
) -> None:
    """Print the tables, and below them the differences from the fleet file."""
    console = terminal.console()
    services, hosts = _services(found), _hosts(found, unreachable, offline)
    if services.row_count:
        console.print(services)
    console.print(hosts)
    if (applied := _applied(found)).row_count:
        console.print(applied)
    if (certificates := _certificates(found)).row_count:
        console.print(certificates)
    if (rings := _rings(found)).row_count:
        console.print(rings)
    for failure, names in _failures(found).items():
        console.print(Text(f"{', '.join(names)}: {failure}", style="red"))
    for name, reason in unreachable.items():
        console.print(Text(f"{name}: {reason}", style="red"))
    for name, host in found.items():
        for what in host.faults:
            console.print(Text(f"{name}: {what}", style="red"))
        for what in host.warnings:
            console.print(Text(f"{name}: warning: {what}", style="yellow"))
        for reason in host.unknown:
            text = f"{name}: the comparison with the fleet file is incomplete: {reason}"
            console.print(Text(text, style="yellow"))
        for what in host.notes:
            console.print(Text(f"{name}: note: {what}"))
    if any(host.faults for host in found.values()):
        console.print(
            Text("Run deploys/mirror.py to apply the fleet file, or with --dry --diff to preview.")
        )


def report(
    found: Mapping[str, HostState], unreachable: Mapping[str, str], offline: Mapping[str, str]
) -> dict[str, Any]:
    """Return the status as plain data for JSON."""
    hosts = {name: asdict(host) for name, host in found.items()}
    return {"hosts": hosts, "unreachable": dict(unreachable), "offline": dict(offline)}


def _services(found: Mapping[str, HostState]) -> Table:
    table = Table("host", "service", "state", "for", "restarts", "memory", "generation")
    table.title = "Services"
    for name, host in found.items():
        for service in host.services:
            table.add_row(name, service.name, *_service(service))
    return table


def _service(service: ServiceState) -> Iterator[Text | str]:
    process = service.process
    if process is None:
        yield from (Text("missing", style="red"), "", "", "", "")
        return
    is_ok = process.active == "active" or (process.active == "inactive" and not process.lasting)
    yield Text(process.active, style="" if is_ok else "red")
    yield "" if process.seconds is None else _span(process.seconds)
    yield Text(str(process.restarts), style="yellow" if process.restarts else "")
    yield "" if process.memory is None else f"{process.memory / GIB:.1f} GiB"
    if service.generation == service.desired or not service.desired:
        yield service.generation
    else:
        yield Text(f"{service.generation or 'none'}, not {service.desired}", style="red")


def _hosts(
    found: Mapping[str, HostState], unreachable: Mapping[str, str], offline: Mapping[str, str]
) -> Table:
    table = Table("host", "up", "load", "free memory", "free disk", "GPUs", "matches file")
    table.title = "Hosts"
    for name, host in found.items():
        running = host.running
        gpus = (
            f"{gpu.used / GIB:.0f}/{gpu.total / GIB:.0f} GiB {gpu.busy}%" for gpu in running.gpus
        )
        differs = Text("incomplete", style="yellow") if host.unknown else Text("yes")
        if host.faults:
            number = len(host.faults)
            differs = Text(f"{number} difference{'s' * (number > 1)}", style="red")
        free = f"{running.available / GIB:.1f} GiB", f"{host.disk / GIB:.0f} GiB"
        table.add_row(name, running.up, running.load, *free, "\n".join(gpus), differs)
    for name in unreachable:
        table.add_row(name, *[""] * 5, Text("unknown", style="red"))
    for name, reason in offline.items():
        table.add_row(name, *[""] * 5, Text(f"offline: {reason}", style="yellow"))
    return table


def _applied(found: Mapping[str, HostState]) -> Table:
    """Return who changed the hosts last; hosts of the same run share a line."""
    table = Table("hosts", "changed (UTC)", "by", "revision", "release")
    table.title = "Last change"
    runs: dict[tuple[str, ...], list[str]] = {}
    for name, host in found.items():
        if run := host.running.applied:
            runs.setdefault((run.at[:10], run.by, run.revision, run.release), []).append(name)
    for (_, *cells), names in sorted(runs.items(), reverse=True):
        times = [run.at for name in names if (run := found[name].running.applied)]
        table.add_row(some(names), _time(max(times)), cells[0], cells[1] or "none", cells[2])
    return table


def _certificates(found: Mapping[str, HostState]) -> Table:
    """Return until when the load balancers' certificates are valid."""
    table = Table("host", "valid until (UTC)", "days left", "file")
    table.title = "Certificates"
    for name, host in found.items():
        if each := host.certificate:
            style = "red" if each.days < SOON.days else ""
            left = str(each.days) if each.days >= 0 else "expired"
            table.add_row(name, _time(each.until), Text(left, style=style), each.file)
    return table


def _rings(found: Mapping[str, HostState]) -> Table:
    """Return what was proved in each ring, when, and with which releases."""
    table = Table("ring", "proved (UTC)", "asked", "through", "client", "gateway", "revision")
    table.title = "Rings"
    for ring, proof in _proofs(found):
        through, clients = ", ".join(proof.through), ", ".join(proof.clients)
        revision = proof.run.revision or "none"
        cells = (_time(proof.run.at), proof.asked, through, clients, proof.gateway, revision)
        table.add_row(ring, *cells)
    return table


def _proofs(found: Mapping[str, HostState]) -> Iterator[tuple[str, Proof]]:
    """Yield the last proof of each ring: all hosts of a ring have it."""
    last: dict[str, Proof] = {}
    for host in found.values():
        if host.ring and (proof := host.ring.proved):
            known = last.setdefault(host.ring.ring, proof)
            if proof.run.at > known.run.at:
                last[host.ring.ring] = proof
    yield from last.items()


def _failures(found: Mapping[str, HostState]) -> dict[str, list[str]]:
    """Return the failures of rings since their last proof, with the hosts that went back."""
    failures: dict[str, list[str]] = {}
    for name, host in found.items():
        if host.ring and (failure := host.ring.failed):
            run = failure.run
            who = f"{run.by}, revision {run.revision or 'none'}"
            text = f"{failure.cause}; {_time(run.at)} by {who}"
            failures.setdefault(text, []).append(name)
    return failures


def _time(text: str) -> str:
    """Return a time of ISO 8601 to the minute: "2026-11-30 01:15"."""
    return text[:16].replace("T", " ")


def _span(seconds: int) -> str:
    """Return a duration in its two largest units, such as "2 d 3 h"."""
    parts = [(seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min")]
    words = [f"{number} {unit}" for number, unit in parts if number][:2]
    return " ".join(words) or f"{seconds} s"
