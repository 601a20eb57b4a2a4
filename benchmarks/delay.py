"""Network delay: slower round trips from this machine to the lab's hosts."""

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
    """Delay packets to the hosts while the block runs; yield the method: netem, tun or none."""
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
    """Remove every delay, also that of a killed run."""
    for port in _ports():
        subprocess.run(
            as_root("tc", "qdisc", "del", "dev", port, "root"), stderr=subprocess.DEVNULL
        )
    subprocess.run(as_root("ip", "rule", "del", *RULE), stderr=subprocess.DEVNULL)
    subprocess.run(as_root("nft", "delete", "table", "inet", NFT_TABLE), stderr=subprocess.DEVNULL)


def _netem(milliseconds: int) -> bool:
    """Delay at every host's port of the bridge. Return whether the kernel has netem."""
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
    """Route packets to the hosts through a program that delays them."""
    command = [sys.executable, "-B", "-m", "benchmarks.detour", str(milliseconds), *RULE]
    with subprocess.Popen(
        as_root(*command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as detour:
        assert detour.stdout is not None
        if detour.stdout.readline() != "ready\n":
            raise RuntimeError("benchmarks.detour did not start")
        yield  # it ends with its standard input, also when this process is killed
        assert detour.stdin is not None
        detour.stdin.close()


def _ports() -> list[str]:
    listing = subprocess.run(
        ["ip", "-json", "link", "show", "master", BRIDGE], capture_output=True, text=True
    )
    return [port["ifname"] for port in json.loads(listing.stdout or "[]") if port]
