"""Reserve the ports of this host's services: no other user can listen on them.

    reserve_ports.py            reserve the ports of all generations on this host
    reserve_ports.py release    let every user listen on them again

A service that restarts leaves its port free for seconds, and one that drains for up to half an
hour. A local user who listens there meanwhile gets the keys of all clients. So the kernel runs a
BPF program at each bind(2) of a TCP socket, in the network namespace of the host. The program
refuses a reserved port with EPERM, unless root or the service's user asks.

Each generation names its port (MIRRORFLEET_PORT in its environment file) and its user (the group of
its directory). The port of a former generation stays reserved while that generation exists: clients
may still use it, and a rollback needs it.

The program is attached to the root cgroup until it is replaced or the host reboots. Needs Linux
5.14 and cgroup v2. STATE holds the reserved ports, or the reason why there are none.
"""

from __future__ import annotations

import ctypes
import grp
import os
import platform
import pwd
import re
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

GENERATIONS = Path("/opt/mirrorfleet")
STATE = Path("/run/mirrorfleet/ports")
NAME = b"mirrorfleet"

Ports = Mapping[int, frozenset[int]]
"""The user IDs that may listen on each reserved port."""

# <linux/bpf.h>
PROG_LOAD, PROG_ATTACH, PROG_DETACH, PROG_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD, PROG_QUERY = (
    *(5, 8, 9),
    *(13, 15, 16),
)
CGROUP_SOCK_ADDR = 18
INET4_BIND, INET6_BIND = 8, 9
ALLOW_MULTI, REPLACE = 2, 4
GET_CURRENT_UID_GID, GET_NETNS_COOKIE = 15, 122
USER_PORT, TYPE = 24, 32  # offsets in struct bpf_sock_addr
INFO_SIZE, INFO_NAME = 80, 64  # of struct bpf_prog_info, up to its name

MOV, MOV_NUMBER, LOAD, LOAD_NUMBER = 0xBF, 0xB7, 0x61, 0x18
CALL, EXIT, GO, GO_IF_OTHER = 0x85, 0x95, 0x05, 0x5D
GO_IF_NUMBER, GO_IF_OTHER_NUMBER = 0x16, 0x56  # these compare 32 bits

SO_NETNS_COOKIE = 71

_SYSCALL = {"x86_64": 321, "aarch64": 280}
_libc = ctypes.CDLL(None, use_errno=True)


def reserved(root: Path = GENERATIONS) -> Ports:
    """Return the ports of all generations below ``root``, each with its services' users."""
    found: dict[int, set[int]] = {}
    for environment in root.glob("*/generations/*/environment"):
        port = re.search(r"^MIRRORFLEET_PORT=(\d+)$", environment.read_text("utf-8"), re.M)
        try:
            user = pwd.getpwnam(grp.getgrgid(environment.parent.stat().st_gid).gr_name).pw_uid
        except KeyError:  # the user was removed: its services no longer run
            continue
        if port:
            found.setdefault(int(port[1]), set()).add(user)
    return {port: frozenset(users) for port, users in found.items()}


def program(ports: Ports, cookie: int) -> bytes:
    """Return the BPF program for the network namespace that has this cookie."""
    checks: list[tuple[str, int, int]] = []
    for port, users in sorted(ports.items()):
        # On another port, go on behind this port's checks: one per user and a refusal.
        checks.append(("skip", socket.htons(port), len(users) + 1))
        checks += [("allow", user, 0) for user in sorted(users)]
        checks.append(("refuse", 0, 0))
    allow = 10 + len(checks)  # the position of the instructions that allow
    code = [
        _instruction(MOV, 6, 1),  # r6: the context
        _instruction(CALL, number=GET_NETNS_COOKIE),
        _instruction(LOAD_NUMBER, 1, number=cookie),
        _instruction(0, number=cookie >> 32),
        _instruction(GO_IF_OTHER, 0, 1, allow - 5),
        _instruction(LOAD, 1, 6, TYPE),
        _instruction(GO_IF_OTHER_NUMBER, 1, 0, allow - 7, socket.SOCK_STREAM),
        _instruction(LOAD, 7, 6, USER_PORT),  # r7: the port
        _instruction(CALL, number=GET_CURRENT_UID_GID),  # r0: the user
        _instruction(GO_IF_NUMBER, 0, 0, allow - 10, 0),
    ]
    for kind, number, distance in checks:
        behind = len(code) + 1
        if kind == "skip":
            code.append(_instruction(GO_IF_OTHER_NUMBER, 7, 0, distance, number))
        elif kind == "allow":
            code.append(_instruction(GO_IF_NUMBER, 0, 0, allow - behind, number))
        else:
            code.append(_instruction(GO, 0, 0, allow + 2 - behind))
    for result in (1, 0):  # allow, refuse
        code += [_instruction(MOV_NUMBER, 0, number=result), _instruction(EXIT)]
    return b"".join(code)


def _instruction(code: int, to: int = 0, of: int = 0, offset: int = 0, number: int = 0) -> bytes:
    return struct.pack("<BBhI", code, of << 4 | to, offset, number & 0xFFFFFFFF)


def attach(ports: Ports, cgroup: Path) -> None:
    """Make the kernel reserve exactly these ports. Raises ``OSError``."""
    directory = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for kind in (INET4_BIND, INET6_BIND):
            former = list(_attached(directory, kind))
            if ports:
                new = _load(program(ports, _cookie()), kind)
                how = (ALLOW_MULTI | REPLACE, former.pop()) if former else (ALLOW_MULTI, 0)
                _bpf(PROG_ATTACH, "IIIII", directory, new, kind, *how)
            for program_fd in former:
                _bpf(PROG_DETACH, "III", directory, program_fd, kind)
    finally:
        os.close(directory)


def _cookie() -> int:
    """Return the kernel's number of this network namespace."""
    with socket.socket() as any_socket:
        cookie = any_socket.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)
    return int.from_bytes(cookie, sys.byteorder)


def _load(code: bytes, kind: int) -> int:
    text, license = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"")
    where = ctypes.addressof(text), ctypes.addressof(license)
    size = len(code) // 8
    rest = 0, 0, 0, 0, 0, NAME, 0, kind
    return _bpf(PROG_LOAD, "IIQQIIQII16sII", CGROUP_SOCK_ADDR, size, *where, *rest)[0]


def _attached(directory: int, kind: int) -> Iterator[int]:
    """Yield a file descriptor of each attached program of this file."""
    ids = (ctypes.c_uint32 * 64)()
    reply = _bpf(PROG_QUERY, "IIIIQI", directory, kind, 0, 0, ctypes.addressof(ids), 64)[1]
    for program_id in ids[: struct.unpack_from("I", reply, 24)[0]]:
        descriptor = _bpf(PROG_GET_FD_BY_ID, "III", program_id, 0, 0)[0]
        info = ctypes.create_string_buffer(INFO_SIZE)
        _bpf(OBJ_GET_INFO_BY_FD, "IIQ", descriptor, INFO_SIZE, ctypes.addressof(info))
        if info.raw[INFO_NAME:].rstrip(b"\0") == NAME:
            yield descriptor


def _bpf(command: int, layout: str, *values: int | bytes) -> tuple[int, bytes]:
    """Call bpf(2) with these fields of its union; return its result and the union."""
    union = ctypes.create_string_buffer(struct.pack(layout, *values), 144)
    if platform.machine() not in _SYSCALL:
        raise OSError(f"no support for {platform.machine()}")
    result: int = _libc.syscall(_SYSCALL[platform.machine()], command, union, len(union))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"bpf: {os.strerror(number)}")
    return result, union.raw


def cgroup_root(mounts: Path = Path("/proc/self/mounts")) -> Path:
    """Return the mount point of cgroup v2. Raises ``OSError`` without one."""
    for line in mounts.read_text("utf-8").splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    raise OSError("cgroup v2 is not mounted")


def main(job: str = "reserve") -> None:
    """Reserve or release the ports, and write the result to STATE."""
    ports = reserved() if job == "reserve" else {}
    try:
        attach(ports, cgroup_root())
        result = " ".join(["reserved", *map(str, sorted(ports))])
    except OSError as error:
        result = f"not reserved: {error.strerror or error}"
    STATE.parent.mkdir(parents=True, exist_ok=True)
    STATE.write_text(f"{result}\n", "utf-8")
    print(result)


if __name__ == "__main__":
    main(*sys.argv[1:])
