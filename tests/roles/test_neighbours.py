"""Weights from other hosts of the model: the real program on addresses of this machine.

The hub is a stand-in. Each host is a process with an address of its own, such as 127.0.0.2.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from mirrorfleet.roles.vllm.weights import HUB, HUB_FILES
from mirrorfleet.runtime.program import program as packed
from mirrorfleet.runtime.run_certificates import Authority, make_authority
from tests.roles.fleets import safetensors
from tests.standins.hub import Hub, running
from tests.waiting import limited, until

REVISION = "3f1c5f0d6b3a4be0a0b8f7a1c2d3e4f5a6b7c8d9"
KEY = f"coder-{REVISION[:12]}"
SHARDS = {
    f"model-{number:02}.safetensors": safetensors(bytes([number]) * (200_000 + number))
    for number in range(16)
}
FILES = {"config.json": b"{}\n", "sub folder/it's.txt": b"text\n", **SHARDS}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Hosts:
    """Hosts of one model: names, with an address of this machine for each, and a directory.

    A host is killed after ``patience`` seconds.
    """

    patience = 120

    def __init__(self, directory: Path, count: int) -> None:
        self.directory, self.port, self.authority = directory, free_port(), make_authority()
        self.addresses = {f"gpu-{n}": f"127.0.0.{n + 2}" for n in range(count)}
        for name in self.addresses:
            self.place(name).mkdir(parents=True)

    def place(self, name: str) -> Path:
        return self.directory / name / KEY

    def share(self, name: str, authority: Authority | None = None) -> dict[str, object]:
        own = authority or self.authority
        return {
            "name": name,
            "address": self.addresses[name],
            "port": self.port,
            "authority": own.certificate,
            "certificate": own.issue(name, self.addresses[name]),
        }

    def job(self, name: str, fetch: Sequence[str]) -> dict[str, object]:
        others = [{"name": each, "address": at} for each, at in self.addresses.items()]
        return {
            "model": "coder",
            "repository": "Qwen/Coder",
            "revision": REVISION,
            "directory": str(self.place(name)),
            "key": KEY,
            "complete": name not in fetch,
            "fetch": list(fetch),
            "peers": [each for each in others if each["name"] != name],
        }

    @contextmanager
    def started(
        self, name: str, hub: Hub, fetch: Sequence[str], text: str = HUB
    ) -> Iterator[subprocess.Popen[str]]:
        request = {
            "hub": {"url": hub.url, "token": None, "proxy": None},
            "share": self.share(name),
            "jobs": [self.job(name, fetch)],
        }
        with limited(
            subprocess.Popen(
                [sys.executable, "-I", "-c", text],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ),
            seconds=self.patience,
        ) as process:
            assert process.stdin is not None
            process.stdin.write(json.dumps(request))
            process.stdin.close()
            process.stdin = None
            yield process

    def content(self, name: str) -> dict[str, bytes]:
        place = self.place(name)
        return {
            str(path.relative_to(place)): path.read_bytes()
            for path in place.rglob("*")
            if path.is_file() and ".mirrorfleet" not in path.parts
        }

    def complete(self, name: str) -> None:
        """Give a host all files, as an earlier run left them."""
        place = self.place(name)
        write(place)
        (place / ".mirrorfleet").mkdir()
        lines = (f"{len(content)} {file}\n" for file, content in FILES.items())
        (place / ".mirrorfleet/sizes").write_text("".join(lines))


def write(directory: Path) -> None:
    for name, content in FILES.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    write(tmp_path / "hub/Qwen/Coder" / REVISION)
    with running(Hub(tmp_path / "hub")) as hub:
        yield hub


def ran(hosts: Hosts, hub: Hub, fetch: Sequence[str], *others: str) -> dict[str, str]:
    """Run all hosts at once, and return their output."""
    with ExitStack() as stack:
        begun = {
            name: stack.enter_context(hosts.started(name, hub, fetch)) for name in (*fetch, *others)
        }
        return {name: process.communicate()[0] for name, process in begun.items()}


def impatient(directory: Path) -> str:
    """Return the program with short times, after which a host counts as lost."""
    found = []
    for file in HUB_FILES:
        copy = directory / file.name
        text = file.read_text("utf-8")
        copy.write_text(re.sub(r"^(LOST|SILENCE) = 30$", r"\1 = 3", text, flags=re.MULTILINE))
        found.append(copy)
    return packed("mirrorfleet.roles.vllm.files", *found)


def sent(hub: Hub) -> Counter[str]:
    return Counter(name for name, *_ in hub.sent)


@pytest.mark.slow
def test_eight_hosts_get_each_file_from_the_hub_once(hub: Hub, tmp_path: Path) -> None:
    hosts = Hosts(tmp_path / "hosts", 8)
    output = ran(hosts, hub, list(hosts.addresses))
    for name in hosts.addresses:
        assert hosts.content(name) == FILES, output[name]
        listed = (hosts.place(name) / ".mirrorfleet/sha256").read_text().splitlines()
        assert listed == [f"{sha256(FILES[file]).hexdigest()}  {file}" for file in sorted(FILES)]
    assert sent(hub) == {Path(name).name: 1 for name in FILES}
    assert all("came from other hosts" in text for text in output.values())


@pytest.mark.slow
def test_a_further_host_takes_all_from_those_that_have_it(hub: Hub, tmp_path: Path) -> None:
    hosts = Hosts(tmp_path / "hosts", 3)
    for name in ("gpu-0", "gpu-1"):
        hosts.complete(name)
    output = ran(hosts, hub, ["gpu-2"], "gpu-0", "gpu-1")
    assert hosts.content("gpu-2") == FILES, output
    assert sent(hub) == {}


@pytest.mark.slow
def test_a_host_that_dies_is_replaced(hub: Hub, tmp_path: Path) -> None:
    """A host stops in the middle of its share: the others fetch it, and the dead one continues."""
    hosts = Hosts(tmp_path / "hosts", 3)
    names = list(hosts.addresses)
    # The file of gpu-0's first turn never ends, unless another host asks for it.
    [largest] = [
        name for name, content in FILES.items() if len(content) == max(map(len, FILES.values()))
    ]
    hub.stalls = {largest: 64 * 1024}
    with ExitStack() as stack:
        begun = {
            name: stack.enter_context(hosts.started(name, hub, names, impatient(tmp_path)))
            for name in names
        }
        until(lambda: (hosts.place("gpu-0") / largest).exists(), "gpu-0 has begun")
        begun["gpu-0"].kill()
        hub.stalls = {}
        for name in names[1:]:
            assert begun[name].wait(110) == 0
    for name in names[1:]:
        assert hosts.content(name) == FILES
    # Again, and nothing that another host has comes from the hub.
    hub.sent.clear()
    for name in names[1:]:
        lines = (f"{len(content)} {file}\n" for file, content in FILES.items())
        (hosts.place(name) / ".mirrorfleet/sizes").write_text("".join(lines))
    ran(hosts, hub, ["gpu-0"], *names[1:])
    assert hosts.content("gpu-0") == FILES
    assert sent(hub) == {}


@pytest.mark.slow
def test_a_damaged_file_of_another_host_is_taken_from_the_hub(hub: Hub, tmp_path: Path) -> None:
    hosts = Hosts(tmp_path / "hosts", 2)
    hosts.complete("gpu-0")
    damaged = hosts.place("gpu-0") / "model-03.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    ran(hosts, hub, ["gpu-1"], "gpu-0")
    assert hosts.content("gpu-1") == FILES
    assert sent(hub) == {"model-03.safetensors": 1}
