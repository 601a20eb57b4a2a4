"""Problems of models that are split over several hosts (nodes)."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet
from mirrorfleet.config.addresses import is_ip, is_loopback, is_public
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.config.vllm import VllmModel
from mirrorfleet.engines.placement import models_of


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, VllmModel):
        if model.nodes > 1:
            yield from _hosts(fleet, model)
            yield from _split(fleet, model)
        elif fleet.document.says("models", model.name, "node_port"):
            yield fleet.document.problem(
                ("models", model.name, "node_port"),
                "applies only to a model on several nodes.",
                "Remove it, or add 'nodes'.",
            )


def _hosts(fleet: Fleet, model: VllmModel) -> Iterator[Problem]:
    key: Key = ("models", model.name)
    if len(model.hosts) % model.nodes:
        yield fleet.document.problem(
            (*key, "nodes"),
            f"is {model.nodes}, but {len(model.hosts)}, the number of hosts, is no multiple of it.",
            f"List {model.nodes} hosts for each replica.",
        )
    for name in model.hosts:
        address = fleet.hosts[name].address if name in fleet.hosts else ""
        if address and not is_ip(address):
            kind, remedy = "a name", "Write the IP address that the other nodes connect to."
        elif is_public(address):
            kind = "a public address"
            remedy = "Use a private network: the ports between nodes have no key."
        elif is_loopback(address):
            kind, remedy = "a loopback address", "Write its address on a private network."
        else:
            continue
        yield fleet.document.problem(
            ("hosts", name, "address"),
            f"is {kind}, but '{name}' is a node of '{model.name}' and needs a private IP address.",
            remedy,
        )


def _split(fleet: Fleet, model: VllmModel) -> Iterator[Problem]:
    key: Key = ("models", model.name)
    if model.data_parallel > 1:
        yield fleet.document.problem(
            (*key, "data_parallel"),
            "makes copies on one host, but the model is split over several.",
            f"Remove it. To add a replica, add {model.nodes} hosts to 'hosts'.",
        )
    world = model.tensor_parallel * model.pipeline_parallel
    if world % model.nodes:
        yield fleet.document.problem(
            (*key, "nodes"),
            f"is {model.nodes}, but tensor_parallel x pipeline_parallel, {world}, is no multiple "
            "of it.",
            f"Write pipeline_parallel: {model.nodes}, so that each node has as many GPUs.",
        )
    if "distributed-executor-backend" in model.arguments:
        yield fleet.document.problem(
            (*key, "arguments", "distributed-executor-backend"),
            "cannot be set for a model on several nodes.",
            "Remove it: vLLM connects the nodes itself, without Ray.",
        )
