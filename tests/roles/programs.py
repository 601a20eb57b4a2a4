"""Programs, run in a tenth of the time that gevent's subprocess takes.

It forks, and so the kernel copies the tables of all the memory of the tests for each program.
posix_spawn copies nothing.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import CompletedProcess

import gevent
from gevent.fileobject import FileObject
from gevent.monkey import get_original
from gevent.os import fork_and_watch

CLOSE = get_original("os", "close")
"""gevent's own waits for the next turn of its loop, which may be due when a program says something:
one that says nothing would never end for us."""


def run(
    command: Sequence[str], said: str = "", env: Mapping[str, str] | None = None
) -> CompletedProcess[str]:
    """Run a program that is told ``said``, to its end. This process goes on meanwhile.

    Raises ``gevent.Timeout`` after half a minute.
    """
    pipes = [os.pipe() for _ in range(3)]
    (stdin, tell), (hear_out, stdout), (hear_err, stderr) = pipes
    theirs = (stdin, stdout, stderr)
    gevent.get_hub().loop.install_sigchld()  # else one that ends first is missed
    pid = fork_and_watch(
        fork=lambda: os.posix_spawnp(
            command[0],
            list(command),
            os.environ if env is None else env,
            file_actions=[(os.POSIX_SPAWN_DUP2, pipe, at) for at, pipe in enumerate(theirs)],
        )
    )
    for pipe in theirs:
        CLOSE(pipe)
    with gevent.Timeout(30):
        hearing = [gevent.spawn(_hear, pipe) for pipe in (hear_out, hear_err)]
        _tell(tell, said)
        out, err = (reader.get() for reader in hearing)
        _, status = os.waitpid(pid, 0)
    return CompletedProcess(list(command), os.waitstatus_to_exitcode(status), out, err)


def shellcheck(directory: Path, texts: Iterable[str]) -> str:
    """Return what shellcheck finds in whole scripts, with their arguments before them."""
    folder = Path(tempfile.mkdtemp(dir=directory))
    for number, text in enumerate(texts):
        (folder / f"{number}.sh").write_text(text)
    program = str(Path(sys.executable).with_name("shellcheck"))
    command = [program, "--norc", "--shell=sh", "--severity=warning", "--format=gcc"]
    return run([*command, *map(str, folder.glob("*.sh"))]).stdout


def _tell(pipe: int, said: str) -> None:
    with suppress(BrokenPipeError), FileObject(pipe, "wb") as file:
        file.write(said.encode())


def _hear(pipe: int) -> str:
    with FileObject(pipe, "rb") as file:
        return str(file.read(), "utf-8")
