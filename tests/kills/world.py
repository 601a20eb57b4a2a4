"""A host in namespaces of its own: files over those of this machine, processes, and a network."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pyinfra.api.command import FileUploadCommand, PyinfraCommand

from mirrorfleet.runtime.facts import Fact
from mirrorfleet.runtime.observe import Observation, parse, script
from tests.kills.steps import Done, Kill, run

HERE = Path(__file__).parent

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": PATH, "HOME": "/root", "USER": "root", "LOGNAME": "root"}

APART = ("--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child")
"""The namespaces of a host; its processes end with the first one."""

CLEAN = ["env", "-i", *(f"{name}={value}" for name, value in ENVIRONMENT.items())]


class Failed(Exception):
    """A command failed that nothing has killed."""


EMPTY = (
    *("tmp", "var/tmp", "home", "root", "run", "srv", "opt", "var/lib/mirrorfleet"),
    *("etc/systemd/system", "etc/claude-code"),
)
"""Directories of this machine that the host does not have: its own ones are empty."""

Tree = Mapping[str, str]
"""The files of a host that differ from this machine's: path to kind, mode, owner and content."""


def apart() -> None:
    """Continue in a mount namespace of this program: its mounts end with it. Needs root."""
    if os.environ.get("MIRRORFLEET_APART") == str(os.getpid()):
        return
    os.environ["MIRRORFLEET_APART"] = str(os.getpid())
    words = ["unshare", "--mount", "--propagation", "private", sys.executable, "-m", "tests.kills"]
    os.execvp(words[0], [*words, *sys.argv[1:]])


class Worlds:
    """Hosts whose files are in one directory, which must be a tmpfs: this machine's disk may not
    hold the upper layer of an overlay of itself."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.numbers = itertools.count()
        self.base = self.new()
        for name in EMPTY:
            path = self.base / "upper" / name
            path.mkdir(parents=True)
            path.chmod(0o1777 if name.endswith("tmp") else 0o755)
            os.setxattr(path, "trusted.overlay.opaque", b"y")
        for name in ("etc", "var", "var/lib", "etc/systemd"):
            shutil.copystat(f"/{name}", self.base / "upper" / name)

    @classmethod
    @contextmanager
    def mounted(cls) -> Iterator[Worlds]:
        """Create hosts in a new tmpfs."""
        with tempfile.TemporaryDirectory() as directory:
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "mode=700", "tmpfs", directory], check=True
            )
            try:
                yield cls(Path(directory))
            finally:
                subprocess.run(["umount", "--lazy", directory], check=True)

    def new(self) -> Path:
        """Create the directory of a host."""
        directory = self.directory / str(next(self.numbers))
        for name in ("upper", "work", "root"):
            (directory / name).mkdir(parents=True)
        (directory / "upper").chmod(0o755)
        return directory

    @contextmanager
    def host(self, *below: Path, keep: bool = False) -> Iterator[Host]:
        """Start a host over the files of others, the last one first; remove its files after."""
        directory = self.new()
        lower = ":".join([*(str(each / "upper") for each in (*below, self.base)), "/"])
        process = subprocess.Popen(
            [
                "setpriv",
                "--pdeathsig",
                "KILL",
                "unshare",
                *APART,
                "sh",
                str(HERE / "world.sh"),
                str(directory),
                lower,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=ENVIRONMENT,
        )
        assert process.stdout
        assert process.stdout.readline() == b"ready\n", "cannot start a host"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        try:
            yield Host(directory, int(children.read_text()))
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            if not keep:
                shutil.rmtree(directory)


class Host:
    """A running host. ``pid`` is its first process."""

    def __init__(self, directory: Path, pid: int) -> None:
        self.directory, self.pid = directory, pid
        self.root = Path(f"/proc/{pid}/root")
        self.enter = [
            "nsenter",
            f"--target={pid}",
            "--mount",
            "--net",
            "--ipc",
            "--uts",
            "--cgroup",
        ]
        self.enter += ["--pid", "--root", "--wdns=/"]

    def call(self, *command: str, stdin: str = "") -> str:
        """Run a command and return its output; it must succeed."""
        done = subprocess.run(
            [*self.enter, *command],
            input=stdin.encode(),
            capture_output=True,
            env=ENVIRONMENT,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, (command[:3], done.stdout, done.stderr)
        return done.stdout.decode("utf-8", "replace")

    def observe(self, facts: Iterable[Fact[Any]]) -> Observation:
        """Read facts, as the beginning of a run does."""
        facts = list(facts)
        return parse(facts, self.call("sh", "-s", stdin=script(facts)).splitlines())

    def run(self, command: PyinfraCommand, kill: Kill | None = None) -> Done:
        """Run a command of an operation as root, step by step, and kill it at a step."""
        with tempfile.TemporaryFile() as stdin:
            words = _prepare(command, stdin)
            size = stdin.tell()
            if kill and kill.kind == "cut":
                stdin.truncate(kill.step % max(size, 1))
            stdin.seek(0)
            return run([*self.enter, *CLEAN], words, stdin, kill, self.directory)

    def complete(self, command: PyinfraCommand) -> None:
        """Run a command of an operation as root. Raises ``Failed`` if it fails."""
        with tempfile.TemporaryFile() as stdin:
            words = _prepare(command, stdin)
            stdin.seek(0)
            done = subprocess.run(
                [*self.enter, *CLEAN, *words],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            output = done.stdout.decode("utf-8", "replace")
            raise Failed(f"status {done.returncode}: {output[-2000:]}")

    def processes(self) -> list[str]:
        """Return the commands of all processes of the host, but for the one that waits."""
        found = []
        for path in self.root.glob("proc/[0-9]*"):
            try:
                words = (path / "cmdline").read_bytes().split(b"\0")
            except OSError:  # it has just ended
                continue
            if words[0] and words[0] != b"sleep" and path.name != "1":
                found.append(b" ".join(words).decode("utf-8", "replace"))
        return found

    def look(self, path: str) -> str:
        """Describe one file of the host."""
        return describe(self.root / path)

    def tree(self, ignored: Sequence[str], also: Iterable[str] = ()) -> dict[str, str]:
        """Describe what differs from the layers below, and the paths of ``also``."""
        upper = self.directory / "upper"
        changed = {
            str(Path(folder, name).relative_to(upper))
            for folder, folders, files in os.walk(upper)
            for name in (*folders, *files)
        }
        return {
            path: describe(self.root / path)
            for path in sorted(changed.union(also))
            if not any(path == each or path.startswith(f"{each}/") for each in ignored)
        }


def describe(path: Path) -> str:
    """Return kind, mode, owner and a digest of the content or the target of a file."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return "missing"
    rights = f"{stat.filemode(found.st_mode)} {found.st_uid}:{found.st_gid}"
    if stat.S_ISLNK(found.st_mode):
        return f"{rights} -> {os.readlink(path)}"  # noqa: PTH115 # with ./
    if stat.S_ISREG(found.st_mode):
        return f"{rights} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]} {found.st_size}"
    return rights


def _prepare(command: PyinfraCommand, stdin: IO[bytes]) -> list[str]:
    """Write the standard input of a command, and return its words."""
    if isinstance(command, FileUploadCommand):  # by SFTP, as the login user
        source: Any = command.src
        stdin.write(Path(source).read_bytes() if isinstance(source, str) else _content(source))
        return ["sh", "-c", 'umask 077; cat >"$0"', str(command.dest)]
    stdin.write("".join(command.connector_arguments.get("_stdin") or ()).encode())
    return ["sh", "-c", str(command)]


def _content(source: Any) -> bytes:
    source.seek(0)
    pieces = []
    while piece := source.read(2**20):
        pieces.append(piece)
    return b"".join(pieces)
