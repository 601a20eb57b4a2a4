"""The status of the fleet as tables and as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from mirrorfleet import terminal
from mirrorfleet.jobs.status.state import HostState, ServiceState

GIB = 1024**3


def show(found: Mapping[str, HostState], unreachable: Mapping[str, str]) -> None:
    """Print the tables, and below them the differences from the fleet file."""
    console = terminal.console()
    services, hosts = _services(found), _hosts(found, unreachable)
    if services.row_count:
        console.print(services)
    console.print(hosts)
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
    if any(host.faults for host in found.values()):
        console.print(
            Text("Run deploys/mirror.py to apply the fleet file, or with --dry --diff to preview.")
        )


def report(found: Mapping[str, HostState], unreachable: Mapping[str, str]) -> dict[str, Any]:
    """Return the status as plain data for JSON."""
    hosts = {name: asdict(host) for name, host in found.items()}
    return {"hosts": hosts, "unreachable": dict(unreachable)}


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


def _hosts(found: Mapping[str, HostState], unreachable: Mapping[str, str]) -> Table:
    table = Table("host", "up", "load", "free memory", "free disk", "GPUs", "matches file")
    table.title = "Hosts"
    for name, host in found.items():
        running = host.running
        gpus = (
            f"{gpu.used / GIB:.0f}/{gpu.total / GIB:.0f} GiB {gpu.busy}%" for gpu in running.gpus
        )
        differs = Text("incomplete", style="yellow") if host.unknown else Text("yes")
        if host.faults:
            differs = Text(f"{len(host.faults)} differences", style="red")
        free = f"{running.available / GIB:.1f} GiB", f"{host.disk / GIB:.0f} GiB"
        table.add_row(name, running.up, running.load, *free, "\n".join(gpus), differs)
    for name in unreachable:
        table.add_row(name, *[""] * 5, Text("unknown", style="red"))
    return table


def _span(seconds: int) -> str:
    """Return a duration in its two largest units, such as "2 d 3 h"."""
    parts = [(seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min")]
    words = [f"{number} {unit}" for number, unit in parts if number][:2]
    return " ".join(words) or f"{seconds} s"
