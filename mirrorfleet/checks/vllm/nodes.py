"""Models that the hosts they are spread over cannot serve together."""

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
                "is where nodes meet, and the model is on one host.",
                "Remove it, or write 'nodes'.",
            )


def _hosts(fleet: Fleet, model: VllmModel) -> Iterator[Problem]:
    key: Key = ("models", model.name)
    if len(model.hosts) % model.nodes:
        yield fleet.document.problem(
            (*key, "nodes"),
            f"is {model.nodes}, and {len(model.hosts)} hosts make no whole replicas of that.",
            f"Name {model.nodes} hosts for each replica.",
        )
    for name in model.hosts:
        address = fleet.hosts[name].address if name in fleet.hosts else ""
        if address and not is_ip(address):
            why, remedy = "a name", "Write the address by which the other nodes reach it."
        elif is_public(address):
            why, remedy = "on the internet", "Nodes ask nobody for a key: use a private network."
        elif is_loopback(address):
            why, remedy = "reached by nobody else", "Write its address on a private network."
        else:
            continue
        yield fleet.document.problem(
            ("hosts", name, "address"),
            f"is {why}, and '{name}' is a node of '{model.name}'.",
            remedy,
        )


def _split(fleet: Fleet, model: VllmModel) -> Iterator[Problem]:
    key: Key = ("models", model.name)
    if model.data_parallel > 1:
        yield fleet.document.problem(
            (*key, "data_parallel"),
            "makes copies on one host, and the model is on several.",
            f"Remove it: each {model.nodes} more 'hosts' are another replica.",
        )
    world = model.tensor_parallel * model.pipeline_parallel
    if world % model.nodes:
        yield fleet.document.problem(
            (*key, "nodes"),
            f"is {model.nodes}, and tensor_parallel x pipeline_parallel, {world}, is no multiple.",
            "Give each node as many GPUs: pipeline_parallel is best the number of nodes.",
        )
    if "distributed-executor-backend" in model.arguments:
        yield fleet.document.problem(
            (*key, "arguments", "distributed-executor-backend"),
            "is derived of a model on several nodes.",
            "Remove it: vLLM itself connects them, without Ray.",
        )
