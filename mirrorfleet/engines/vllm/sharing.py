"""Hosts that take the weights of a model from each other."""

from __future__ import annotations

from mirrorfleet.config import Fleet
from mirrorfleet.config.addresses import is_ip
from mirrorfleet.config.vllm import VllmModel


def sharing_hosts(fleet: Fleet, model: VllmModel) -> tuple[str, ...]:
    """Return the hosts that share the weights of a model; empty if they do not.

    The firewall's rules need addresses: for names, only some controllers can resolve them.
    """
    if not fleet.weights.is_on or model.weights.kind != "hub":
        return ()
    known = [name for name in model.hosts if name in fleet.hosts]  # a check reports the others
    found = [name for name in known if is_ip(fleet.hosts[name].address)]
    return tuple(found) if len(found) > 1 else ()
