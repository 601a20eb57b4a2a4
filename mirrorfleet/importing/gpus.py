"""Which GPUs of its host an engine uses: what its container sees, and its choice among them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mirrorfleet.importing.engine import Engine
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.hidden import expanded
from mirrorfleet.importing.nodes import Node

CONTAINER, INSIDE = "container", "inside"
"""Two lists of GPUs: numbers inside a container count what the container sees."""

VARIABLES = {"NVIDIA_VISIBLE_DEVICES": CONTAINER, "CUDA_VISIBLE_DEVICES": INSIDE}

ALL = ("", "all", "void", "none")
"""Values of a container's list that choose no GPU: Docker gives it all, or others decide."""

UUID = re.compile(r"(GPU|MIG)-[\w/-]+")


def see(found: Engine, where: str, nodes: Iterable[Node], text: str | None = None) -> None:
    """Note a list of GPUs: one node with ``text`` (default: its own), or a node for each GPU.

    A later list of a container replaces an earlier one, as Docker does with the devices of a
    service and its variable. ``found`` gets its ``devices`` from `choose`, when all are known.
    """
    nodes = list(nodes)
    texts = [text] if text is not None else [node.text for node in nodes]
    filled = [expanded(each) for each in texts]
    numbers = [] if None in filled else ",".join(map(str, filled)).replace(" ", "").split(",")
    for node in found.gpu_lists.get(where, ([], []))[0]:
        found.drop(node, "the GPUs are listed elsewhere", Fate.FOLDED)
    found.gpu_lists[where] = (nodes, numbers)


def choose(found: Engine) -> None:
    """Set ``devices`` from the lists, or open them. The number of GPUs must be known."""
    container, inside = (found.gpu_lists.get(each, ([], ["all"])) for each in (CONTAINER, INSIDE))
    if all(len(numbers) == 1 and numbers[0] in ALL for _, numbers in (container, inside)):
        for node in container[0] + inside[0]:
            found.drop(node, "GPUs follow from tensor_parallel and devices", Fate.DERIVED)
        return
    nodes = container[0] + inside[0]
    why = _unknown(container[1]) or _unknown(inside[1])
    chosen: list[int] = []
    if not why:
        chosen, why = _combined(container[1], inside[1])
    if not why and found.kind == "vllm" and len(chosen) < found.gpus:
        why = f"the engine uses {found.gpus} GPUs, and these are {len(chosen)}: write devices"
    if found.kind == "ollama" and inside[1] == ["-1"]:
        why, chosen = "", []
    if why:
        for node in nodes:
            found.drop(node, why, Fate.OPEN)
        return
    is_vllm = found.kind == "vllm"
    first = f"vLLM uses the first {found.gpus}" if is_vllm and len(chosen) > found.gpus else ""
    for node in nodes:
        found.set("devices", chosen[: found.gpus] if is_vllm else chosen, node, first)


def _combined(container: list[str], inside: list[str]) -> tuple[list[int], str]:
    """Return the numbers on the host, or why there are none."""
    seen = [] if container[0] in ALL else list(map(int, container))
    if inside[0] in ALL:
        return seen, ""
    requested = list(map(int, inside))
    if not seen:
        return requested, ""
    if max(requested) >= len(seen):
        return (
            [],
            f"the container sees {len(seen)} GPUs, without number {max(requested)}: write devices",
        )
    return [seen[each] for each in requested], ""


def _unknown(numbers: list[str]) -> str:
    """Return why a list is none of numbers, empty if it is one."""
    if not numbers:
        return "depends on a variable: write devices"
    if any(map(UUID.fullmatch, numbers)):
        return "a GPU by its UUID: write devices, with its number in `nvidia-smi -L`"
    if all(each.isdecimal() for each in numbers) or (len(numbers) == 1 and numbers[0] in ALL):
        return ""
    return "not a list of GPUs by number: write devices"
