"""Looking at the lab's hosts from outside, and running the project as a person would.

Nothing of fleet/ and roles/ is used here: what they believe is what the tests are to find out.
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


def on(host: str) -> Host:
    """A host as testinfra sees it, with root's eyes."""
    return testinfra.get_host(f"ssh://{host}", ssh_config=str(keys.SSH_CONFIG), sudo=True)


def run(host: str, command: str, stdin: str = "") -> str:
    """Run a shell command on a host as root and return what it prints. It must succeed."""
    line = keys.ssh(host, ["sudo", "sh", "-c", shlex.quote(command)])
    done = subprocess.run(line, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{host}: {command}\n{done.stdout}{done.stderr}"
    return done.stdout


@contextmanager
def journal(host: str, *options: str) -> Iterator[list[str]]:
    """The lines that a host's journal gains while the block runs, there when it has ended."""
    now = run(host, "date +@%s.%N").strip()
    gained: list[str] = []
    yield gained
    # Not by a cursor: with a filter, journalctl 252 leaves out the first line after it.
    words = shlex.join(["-q", "-o", "cat", f"--since={now}", *options])
    gained += run(host, f"journalctl --sync; journalctl {words}").splitlines()


def mirror(*options: str, fleet: Path = FLEET) -> subprocess.CompletedProcess[str]:
    """Run deploys/mirror.py on a fleet, as the README says."""
    return pyinfra("-y", *options, str(fleet.with_suffix(".py")), "deploys/mirror.py")


def pyinfra(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=paths.REPOSITORY, capture_output=True, text=True, check=False
    )


def command(*arguments: str) -> list[str]:
    return [str(paths.REPOSITORY / ".venv" / "bin" / "pyinfra"), *arguments]


def plain(text: str) -> str:
    """A text without its colours."""
    return re.sub(r"\x1b\[\d+m", "", text)


def changes(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What a run with --json did, as "host: operation"."""
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(done.stdout)["results"]
    assert results["failed_hosts"] == []
    return [f"{name}: {op['name']}" for op in results["operations"] for name in op["success"]]


def variant(directory: Path, said: str, instead: str) -> Path:
    """A copy of the lab's fleet file in an empty directory, with one setting changed."""
    text = FLEET.read_text("utf-8")
    assert text.count(said) == 1
    (directory / "inventories").mkdir()
    (directory / ".lab").symlink_to(paths.ACCESS)
    for suffix, content in (
        (".yml", text.replace(said, instead)),
        (".py", FLEET.with_suffix(".py").read_text("utf-8")),
    ):
        (directory / "inventories" / f"lab{suffix}").write_text(content, "utf-8")
    return directory / "inventories" / "lab.yml"


def state(host: str) -> str:
    """All that a run could change on a host: files and when, packages, users, what runs."""
    return run(
        host,
        "find /opt /etc /home /usr/local /var/lib/mirrorfleet/weights /var/lib/mirrorfleet/inbox "
        r"-printf '%p %i %T@ %m %u\n' 2>/dev/null | sort; dpkg-query -W; "
        "systemctl show -p Id -p InvocationID 'mirrorfleet-*'",
    )


def secret(name: str) -> str:
    """One of the lab's secrets: "engine", "master" or "developers"."""
    return (paths.ACCESS / "secrets" / name).read_text("utf-8").strip()


def http_status(
    host: str, port: int, path: str, *, key: str = "", body: object = None
) -> tuple[int, str]:
    """Ask a host over HTTP, as the machine that the lab is on: the status and the text."""
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
    """Send a short message through a gateway."""
    turn = {"role": "user", "content": "Hello"}
    body = {"model": "tiny", "max_tokens": 4, "messages": [turn]}
    return http_status(gateway, 4000, "/v1/messages", key=key, body=body)


def answering_gateway() -> str:
    """One gateway, or the other if it does not, as with a load balancer; "nobody" if none does."""
    key = secret("developers")
    return next((each for each in GATEWAYS if _answers(each, key)), "nobody")


def _answers(gateway: str, key: str) -> bool:
    try:
        return message(gateway, key)[0] == 200
    except OSError:
        return False


@contextmanager
def polling(ask: Callable[[], Answer], pause: float) -> Iterator[list[Answer]]:
    """Ask over and over while the block runs. Yields the answers."""
    answers: list[Answer] = []
    done = threading.Event()

    def go_on() -> None:
        while not done.wait(pause):
            answers.append(ask())

    asking = threading.Thread(target=go_on)
    asking.start()
    try:
        yield answers
    finally:
        done.set()
        asking.join()


def requests(lines: list[str]) -> list[str]:
    """Of the engine's journal, who asked for messages: the address of each request."""
    pattern = re.compile(r'([\d.]+):\d+ - "POST /v1/messages')
    return [found[1] for line in lines if (found := pattern.search(line))]


def processes() -> Iterator[str]:
    """The command line of every process on this machine, those of its guests among them."""
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                arguments = (process / "cmdline").read_bytes()
            except OSError:
                continue  # it ended while we looked
            yield arguments.replace(b"\0", b" ").decode(errors="replace")
