"""Delay packets: a stand-in for tc's netem on kernels without it.

    python -m benchmarks.detour MILLISECONDS RULE...      (as root)

A routing rule sends packets for the hosts to a tun device. This program reads them, delays each,
and sends it with a mark that the rule excludes. Replies are not delayed, so a round trip has the
delay once, as with netem on one side. When standard input is closed, the program removes device and
rule and ends.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress

from tests.lab.hosts import GATEWAY

DEVICE = "mirrorfleet-far"
TABLE = "77"
MARK = 77

NFT_TABLE = "mirrorfleet_far"
UNTRACKED = f"""
table inet {NFT_TABLE} {{
    chain output {{
        type filter hook output priority raw;
        oifname "{DEVICE}" notrack
    }}
}}
"""

# From the kernel's if_tun.h.
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000


def main(milliseconds: int, rule: list[str]) -> None:
    """Forward packets until standard input ends."""
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
    out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    out.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
    # The lab masquerades packets that leave by another device than its bridge, and the kernel drops
    # masqueraded packets that then leave by a different device.
    subprocess.run(["nft", "-f", "-"], input=UNTRACKED, text=True, check=True)
    _ip("address", "add", f"{GATEWAY.ip}/32", "dev", DEVICE)
    _ip("link", "set", "dev", DEVICE, "txqueuelen", "10000", "up")
    _ip("route", "replace", "default", "dev", DEVICE, "src", str(GATEWAY.ip), "table", TABLE)
    _ip("rule", "add", *rule)
    print("ready", flush=True)
    try:
        forward(tun, out, milliseconds / 1000)
    finally:
        _ip("rule", "del", *rule)
        subprocess.run(["nft", "delete", "table", "inet", NFT_TABLE], check=True)


def forward(tun: int, out: socket.socket, seconds: float) -> None:
    """Send packets, each a number of seconds after its arrival."""
    delayed: deque[tuple[float, bytes]] = deque()
    while True:
        wait = max(0.0, delayed[0][0] - time.monotonic()) if delayed else None
        ready, _, _ = select.select([tun, sys.stdin], [], [], wait)
        if sys.stdin in ready:
            return
        if tun in ready:
            due = time.monotonic() + seconds
            delayed.extend((due, packet) for packet in _waiting(tun))
        while delayed and delayed[0][0] <= time.monotonic():
            packet = delayed.popleft()[1]
            # Packets that cannot be sent, such as multicast, are lost: TCP does not need them.
            with suppress(OSError):
                out.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))


def _waiting(tun: int) -> list[bytes]:
    packets: list[bytes] = []
    try:
        while True:
            packet = os.read(tun, 65536)
            if packet[0] >> 4 == 4:
                packets.append(packet)
    except BlockingIOError:
        return packets


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
