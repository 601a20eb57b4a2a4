"""Run a program step by step: a step is a system call that can change something.

strace prints each call before the kernel runs it, into a pipe that holds one line. So a program
cannot run ahead of the reader, and a kill at a step hits the same state each time.
"""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

CALLS = (
    "openat,?open,?creat,write,pwrite64,?writev,?sendto,?sendmsg,?sendfile,?copy_file_range,?splice,"
    "?ftruncate,?truncate,?fallocate,?unlink,unlinkat,?rename,?renameat,renameat2,?mkdir,mkdirat,?rmdir,"
    "?link,linkat,?symlink,symlinkat,?mknod,mknodat,?chmod,fchmod,fchmodat,?chown,?lchown,fchown,fchownat,"
    "utimensat,?setxattr,?lsetxattr,?fsetxattr,execve"
)

STRACE = ("strace", "-f", "-qq", "--seccomp-bpf", "-e", f"trace={CALLS}", "-e", "signal=none")

_ENTRY = re.compile(r"^(?:\[pid +(\d+)\] )?(\w+)\(")
_WRITES = re.compile(r"O_(?:CREAT|WRONLY|RDWR|TRUNC|TMPFILE)")

Kind = Literal["all", "one", "cut"]


@dataclass(frozen=True)
class Kill:
    """SIGKILL at a step: to ``all`` processes as a power failure, or to the ``one`` that calls.

    ``cut``: nothing is killed, but standard input ends early, as that of a killed controller.
    """

    step: int
    kind: Kind = "all"


@dataclass(frozen=True)
class Done:
    """The end of a program: its exit status, its output, and the steps that it took."""

    status: int
    output: str
    steps: int
    was_killed: bool = False


def run(
    enter: Sequence[str], command: Sequence[str], stdin: IO[bytes], kill: Kill | None, scratch: Path
) -> Done:
    """Run a command in the namespaces that ``enter`` enters, and kill it at a step."""
    reader, writer = os.pipe2(os.O_DIRECT | os.O_CLOEXEC)  # a write is a packet
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)  # one packet at a time
    output = scratch / "output"
    # strace prints to its standard error; the program gets another one.
    apart = ["sh", "-c", 'exec "$@" 2>&1', "sh"]
    with output.open("wb") as stdout:
        tracer = subprocess.Popen(
            [*STRACE, *enter, *apart, *command], stdin=stdin, stdout=stdout, stderr=writer
        )
    os.close(writer)
    with os.fdopen(reader, "rb", 0) as packets:
        steps, was_killed = _follow(packets, tracer.pid, kill)
    status = tracer.wait()
    return Done(status, output.read_text("utf-8", "replace"), steps, was_killed)


def _follow(packets: IO[bytes], tracer: int, kill: Kill | None) -> tuple[int, bool]:
    steps, was_killed = 0, False
    while packet := packets.read(4096):
        if was_killed:
            continue
        for line in packet.decode("utf-8", "replace").splitlines():
            entry = _ENTRY.match(line)
            if not entry or (entry[2] in ("openat", "open") and not _WRITES.search(line)):
                continue
            steps += 1
            if kill and kill.kind != "cut" and steps == kill.step:
                was_killed = True
                if kill.kind == "one" and entry[1]:
                    _kill([int(entry[1])])
                else:
                    # While no line is read, each process stops at its next call: twice finds all.
                    _kill(_traced(tracer))
                    _kill(_traced(tracer))
    return steps, was_killed


def _traced(tracer: int) -> list[int]:
    """Return the processes that a tracer traces."""
    found = []
    for path in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):
            if f"\nTracerPid:\t{tracer}\n" in path.read_text():
                found.append(int(path.parent.name))
    return found


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
