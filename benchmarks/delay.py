"""Make the lab's hosts far away: every round trip from this machine to them costs more."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.detour import NFT_TABLE
from benchmarks.machine import as_root
from tests.lab.hosts import BRIDGE, NETWORK

RULE = ["to", str(NETWORK), "iif", "lo", "fwmark", "0/77", "lookup", "77"]


@contextmanager
def added(milliseconds: int) -> Iterator[str]:
    """Delay what this machine sends to the hosts, and yield by which means: netem, tun or none."""
    if not milliseconds:
        yield "none"
        return
    try:
        if _netem(milliseconds):
            yield "netem"
        else:
            with _tun(milliseconds):
                yield "tun"
    finally:
        restore()


def restore() -> None:
    """Take away every delay, also one that a killed run left."""
    for port in _ports():
        subprocess.run(
            as_root("tc", "qdisc", "del", "dev", port, "root"), stderr=subprocess.DEVNULL
        )
    subprocess.run(as_root("ip", "rule", "del", *RULE), stderr=subprocess.DEVNULL)
    subprocess.run(as_root("nft", "delete", "table", "inet", NFT_TABLE), stderr=subprocess.DEVNULL)


def _netem(milliseconds: int) -> bool:
    """Delay at every host's port of the bridge. False where the kernel has no netem."""
    return all(
        subprocess.run(
            as_root(
                *("tc", "qdisc", "replace", "dev", port, "root"),
                *("netem", "limit", "10000", "delay", f"{milliseconds}ms"),
            ),
            stderr=subprocess.DEVNULL,
        ).returncode
        == 0
        for port in _ports()
    )


@contextmanager
def _tun(milliseconds: int) -> Iterator[None]:
    """Delay in a program of ours, through which packets to the hosts are routed."""
    command = [sys.executable, "-B", "-m", "benchmarks.detour", str(milliseconds), *RULE]
    with subprocess.Popen(
        as_root(*command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as detour:
        assert detour.stdout is not None
        if detour.stdout.readline() != "ready\n":
            raise RuntimeError("the detour for delayed packets did not come up")
        yield  # it ends when its standard input does, so also when this process is killed
        assert detour.stdin is not None
        detour.stdin.close()


def _ports() -> list[str]:
    listing = subprocess.run(
        ["ip", "-json", "link", "show", "master", BRIDGE], capture_output=True, text=True
    )
    return [port["ifname"] for port in json.loads(listing.stdout or "[]") if port]
