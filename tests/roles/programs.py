"""Run programs in a tenth of the time that gevent's subprocess needs.

gevent forks, so the kernel copies the page tables of the test process for each program. posix_spawn
copies nothing.
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
"""Close a pipe at once.

gevent's own waits for the next turn of its loop, which may need the output of a program: a silent
program would never end.
"""


def run(
    command: Sequence[str], stdin_text: str = "", env: Mapping[str, str] | None = None
) -> CompletedProcess[str]:
    """Run a program with ``stdin_text`` as its standard input, without blocking other greenlets.

    Raises ``gevent.Timeout`` after 30 seconds.
    """
    pipes = [os.pipe() for _ in range(3)]
    (stdin, to_program), (from_stdout, stdout), (from_stderr, stderr) = pipes
    program_pipes = (stdin, stdout, stderr)
    gevent.get_hub().loop.install_sigchld()  # else a program that ends first is missed
    pid = fork_and_watch(
        fork=lambda: os.posix_spawnp(
            command[0],
            list(command),
            os.environ if env is None else env,
            file_actions=[(os.POSIX_SPAWN_DUP2, pipe, at) for at, pipe in enumerate(program_pipes)],
        )
    )
    for pipe in program_pipes:
        CLOSE(pipe)
    with gevent.Timeout(30):
        readers = [gevent.spawn(_read, pipe) for pipe in (from_stdout, from_stderr)]
        _write(to_program, stdin_text)
        out, err = (reader.get() for reader in readers)
        _, status = os.waitpid(pid, 0)
    return CompletedProcess(list(command), os.waitstatus_to_exitcode(status), out, err)


def shellcheck(directory: Path, texts: Iterable[str]) -> str:
    """Return the warnings of shellcheck about complete scripts."""
    folder = Path(tempfile.mkdtemp(dir=directory))
    for number, text in enumerate(texts):
        (folder / f"{number}.sh").write_text(text)
    program = str(Path(sys.executable).with_name("shellcheck"))
    command = [program, "--norc", "--shell=sh", "--severity=warning", "--format=gcc"]
    return run([*command, *map(str, folder.glob("*.sh"))]).stdout


def _write(pipe: int, stdin_text: str) -> None:
    with suppress(BrokenPipeError), FileObject(pipe, "wb") as file:
        file.write(stdin_text.encode())


def _read(pipe: int) -> str:
    with FileObject(pipe, "rb") as file:
        return str(file.read(), "utf-8")
