"""Independent checks of the lab's hosts, and runs of the project from the command line.

This module must not import mirrorfleet: the tests verify its claims.
"""

import http.client
import json
import re
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import testinfra
from testinfra.host import Host

from . import keys, paths
from .hosts import BY_NAME

HOSTS = ("gpu", "gw-1", "gw-2", "dev")
GATEWAYS = ("gw-1", "gw-2")
Answer = TypeVar("Answer")

FLEET = paths.REPOSITORY / "inventories" / "lab.yml"


SSHD = ("-t", "sshd", "-t", "sshd-session")
"""The words of journalctl for sshd's lines. Since OpenSSH 9.8, sshd-session logs a connection."""


def on(host: str) -> Host:
    """Return testinfra's view of a host, as root."""
    return testinfra.get_host(f"ssh://{host}", ssh_config=str(keys.SSH_CONFIG), sudo=True)


def run(host: str, command: str, stdin: str = "") -> str:
    """Run a shell command on a host as root and return its output. It must succeed."""
    line = keys.ssh(host, ["sudo", "sh", "-c", shlex.quote(command)])
    done = subprocess.run(line, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{host}: {command}\n{done.stdout}{done.stderr}"
    return done.stdout


@contextmanager
def journal(host: str, *options: str) -> Iterator[list[str]]:
    """Collect the lines that a host's journal receives while the block runs.

    Yield a list, which is filled when the block ends.
    """
    now = run(host, "date +@%s.%N").strip()
    lines: list[str] = []
    yield lines
    # No cursor: with a filter, journalctl 252 omits the first line after it.
    words = shlex.join(["-q", "-o", "cat", f"--since={now}", *options])
    lines += run(host, f"journalctl --sync; journalctl {words}").splitlines()


def mirror(*options: str, fleet: Path = FLEET) -> subprocess.CompletedProcess[str]:
    """Run deploys/mirror.py on a fleet, with the command of the README."""
    return pyinfra("-y", *options, str(fleet.with_suffix(".py")), "deploys/mirror.py")


def pyinfra(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=paths.REPOSITORY, capture_output=True, text=True, check=False
    )


def command(*arguments: str) -> list[str]:
    return [str(paths.REPOSITORY / ".venv" / "bin" / "pyinfra"), *arguments]


def plain(text: str) -> str:
    """Remove the colour codes from a text."""
    return re.sub(r"\x1b\[\d+m", "", text)


def reported(output: str, host: str) -> list[str]:
    """Return what a run reports about a host before its first change, without `--diff`."""
    lines = plain(output).splitlines()
    after = lines[lines.index("--> What will be changed:") + 1 :]
    names: list[str] = []
    found = []
    for line in after:
        indent = len(line) - len(line.lstrip())
        if indent == 4:
            names = line.strip().split(", ")
        elif indent == 8 and host in names:
            found.append(line.strip())
        elif indent not in (4, 8):
            break
    return found


def changes(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the changes of a run with --json, as "host: operation"."""
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(done.stdout)["results"]
    assert results["failed_hosts"] == []
    return [f"{name}: {op['name']}" for op in results["operations"] for name in op["success"]]


def variant(directory: Path, old: str, new: str) -> Path:
    """Write a copy of the lab's fleet file to an empty directory, with one text replaced."""
    text = FLEET.read_text("utf-8")
    assert text.count(old) == 1
    (directory / "inventories").mkdir()
    (directory / ".lab").symlink_to(paths.ACCESS)
    for suffix, content in (
        (".yml", text.replace(old, new)),
        (".py", FLEET.with_suffix(".py").read_text("utf-8")),
    ):
        (directory / "inventories" / f"lab{suffix}").write_text(content, "utf-8")
    return directory / "inventories" / "lab.yml"


def state(host: str) -> str:
    """Return what a run can change on a host: files with times, packages, invocations of units."""
    return run(
        host,
        "find /opt /etc /home /usr/local /var/lib/mirrorfleet/weights /var/lib/mirrorfleet/inbox "
        r"-printf '%p %i %T@ %m %u\n' 2>/dev/null | sort; dpkg-query -W; "
        "systemctl show -p Id -p InvocationID 'mirrorfleet-*'",
    )


def secret(name: str) -> str:
    """Return one of the lab's secrets: "engine", "master" or "developers"."""
    return (paths.ACCESS / "secrets" / name).read_text("utf-8").strip()


def http_status(
    host: str, port: int, path: str, *, key: str = "", body: object = None
) -> tuple[int, str]:
    """Send an HTTP request to a host from this machine; return the status and the text."""
    connection = http.client.HTTPConnection(str(BY_NAME[host].address), port, timeout=60)
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    try:
        method, text = ("GET", None) if body is None else ("POST", json.dumps(body))
        connection.request(method, path, text, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def message(gateway: str, key: str) -> tuple[int, str]:
    """Send a short message through a gateway; return the status and the text."""
    turn = {"role": "user", "content": "Hello"}
    body = {"model": "tiny", "max_tokens": 4, "messages": [turn]}
    return http_status(gateway, 4000, "/v1/messages", key=key, body=body)


def answering_gateway() -> str:
    """Return the first gateway that answers, as with a load balancer; "none" if no gateway does."""
    key = secret("developers")
    return next((gateway for gateway in GATEWAYS if _answers(gateway, key)), "none")


def _answers(gateway: str, key: str) -> bool:
    try:
        return message(gateway, key)[0] == 200
    except OSError:
        return False


@contextmanager
def polling(ask: Callable[[], Answer], pause: float) -> Iterator[list[Answer]]:
    """Call ``ask`` again and again while the block runs, with a pause in seconds.

    Yield a list, to which each answer is added.
    """
    answers: list[Answer] = []
    done = threading.Event()

    def poll() -> None:
        while not done.wait(pause):
            answers.append(ask())

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join()


def requests(lines: list[str]) -> list[str]:
    """Return the client address of each request for messages in the engine's journal."""
    pattern = re.compile(r'([\d.]+):\d+ - "POST /v1/messages')
    return [found[1] for line in lines if (found := pattern.search(line))]


def turns(lines: list[str]) -> list[str]:
    """Return the status of each turn of a developer on `dev` in the load balancer's log."""
    pattern = re.compile(rf'^{BY_NAME["dev"].address} POST "/v1/messages" (\d+) ')
    return [found[1] for line in lines if (found := pattern.search(line))]


def processes() -> Iterator[str]:
    """Yield the command line of every process on this machine and in its guests."""
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                arguments = (process / "cmdline").read_bytes()
            except OSError:
                continue  # the process ended meanwhile
            yield arguments.replace(b"\0", b" ").decode(errors="replace")
