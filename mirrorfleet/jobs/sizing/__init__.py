"""Propose how vLLM serves a model: mirrorfleet size MODEL"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any

from mirrorfleet import fleet as fleets
from mirrorfleet.config import EngineModel, Fleet, schema
from mirrorfleet.config.problems import did_you_mean, printable
from mirrorfleet.data import proposed
from mirrorfleet.engines.placement import assign, by_host
from mirrorfleet.engines.registry import ENGINES
from mirrorfleet.engines.vllm.memory import GIB
from mirrorfleet.engines.vllm.sizing import (
    UTILIZATION,
    Gpus,
    Proposal,
    TooLarge,
    propose,
)
from mirrorfleet.jobs.sizing import report
from mirrorfleet.jobs.sizing.source import Request, SizeError, Source, source

__all__ = ["Request", "SizeError", "main", "size", "starter"]

PORT: int = schema.definition("vllmModel")["properties"]["port"]["default"]


@dataclass(frozen=True)
class Sized:
    """A model with its proposal, and the section ``models`` for the fleet file."""

    source: Source
    gpus: Gpus
    result: Proposal | TooLarge
    models: dict[str, Any]


def main(request: Request, *, as_json: bool) -> int:
    """Print a proposal. Return the exit code."""
    try:
        sized = size(request)
    except SizeError as error:
        print(printable(str(error)), file=sys.stderr)
        return 1
    if isinstance(sized.result, TooLarge):
        for line in report.too_large(sized.source, sized.result, sized.gpus):
            print(printable(line), file=sys.stderr)
        return 1
    if as_json:
        print(json.dumps(report.as_json(sized.source, sized.result, sized.gpus, sized.models)))
        return 0
    for line in report.lines(sized.source, sized.result, sized.gpus):
        print(printable(line))
    print(f"\nFor the fleet file:\n\n{report.as_yaml(sized.models).rstrip()}")
    return 0


def starter(text: str, request: Request) -> str:
    """Return the starter fleet file with a model and GPUs in place of its own.

    Raises ``SizeError`` if the model does not fit, or if its family is unknown.
    """
    sized = size(request)
    if isinstance(sized.result, TooLarge):
        raise SizeError("\n".join(report.too_large(sized.source, sized.result, sized.gpus)))
    [keys] = sized.models.values()
    if "family" not in keys:
        raise SizeError(
            f"the family of {sized.source.title} is unknown: add --family NAME, from "
            "`mirrorfleet docs models`."
        )
    keys["hosts"] = {"labels": ["gpu"]}
    model = report.as_yaml({"coder": keys}).partition("\n")[2]
    before, _, rest = text.partition("  coder:\n")
    after = rest[rest.index("  # A model of a provider") :]
    gpus = f"{{count: {sized.gpus.count}, memory: {sized.gpus.memory / GIB:g}}}"
    return f"{before}{model}{after}".replace("{count: 2}", gpus)


def size(request: Request) -> Sized:
    """Return the proposal for a model. Raises ``SizeError``, and ``FleetError`` for a bad file."""
    fleet = fleets.load(request.fleet_file) if request.fleet_file else None
    gpus = _gpus(request, fleet)
    found = source(request, fleet)
    declared = found.declared
    result = propose(
        found.model,
        gpus,
        context=request.context,
        windows=request.windows,
        kv_cache_dtype=None if request.kv_cache_dtype == "auto" else request.kv_cache_dtype,
        gpu_memory_utilization=declared.gpu_memory_utilization if declared else UTILIZATION,
    )
    models: dict[str, Any] = {}
    if isinstance(result, Proposal):
        hosts = [request.host] if request.host else list(declared.hosts) if declared else ["gpu-a"]
        version = declared.version if declared else proposed("vllm")
        place = {"hosts": hosts, **_port(fleet, hosts, found)}
        models = report.entry(found, result, place, version)
    return Sized(found, gpus, result, models)


def _port(fleet: Fleet | None, hosts: list[str], found: Source) -> dict[str, int]:
    """Return the model's port: its own, else the first from the default that its hosts have free.

    Empty if that is the default itself.
    """
    port = found.declared.port if found.declared else PORT
    if fleet and not found.declared:
        listeners = (each for engine in ENGINES.values() for each in engine.listeners(fleet))
        used = {each.port for each in listeners if not {*hosts}.isdisjoint(each.hosts)}
        port = next(free for free in count(PORT) if free not in used)
    return {} if port == PORT else {"port": port}


def _gpus(request: Request, fleet: Fleet | None) -> Gpus:
    """Return the GPUs that were named, or those of a host that no other model uses."""
    number, memory = request.count, request.memory and int(request.memory * GIB)
    if request.host is not None and fleet is not None:
        if request.host not in fleet.hosts:
            known = did_you_mean(request.host, fleet.hosts)
            raise SizeError(f"There is no host '{request.host}'. {known}".rstrip())
        host = fleet.hosts[request.host]
        if not host.gpus and not number:
            raise SizeError(f"{host.name} has no GPUs: write hosts.{host.name}.gpus, or --gpus.")
        number = number or _free(fleet, request.host, request.model)
        memory = memory or host.gpu_memory
        if not number:
            raise SizeError(
                f"{host.name} has no free GPU: other models have its {host.gpus}. "
                f"Correct hosts.{host.name}.gpus.count, or write --gpus."
            )
        if not memory:
            raise SizeError(
                f"the memory of the GPUs of {host.name} is unknown: write "
                f"hosts.{host.name}.gpus.memory, or --memory, in GiB."
            )
    if not number or not memory:
        raise SizeError("the GPUs are unknown: write --gpus 4x80, or --fleet FILE --host NAME.")
    return Gpus(number, memory)


def _free(fleet: Fleet, host: str, model: str) -> int:
    """Return the number of GPUs of a host that no other model uses."""
    others: Iterable[EngineModel] = (
        other for other in by_host(fleet, EngineModel).get(host, ()) if other.name != model
    )
    taken = {gpu for share in assign(others, fleet.hosts[host].gpus) for gpu in share.devices}
    return fleet.hosts[host].gpus - len(taken)
