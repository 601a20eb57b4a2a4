"""Eight hosts of one model: the hub sends each file once, and they pass it on to each other.

The hub is a stand-in on another host of the lab, with a slow line. Commands, users, connections and
the hub's client are the real ones; an engine's environment would take 2.5 GB on each host.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.lab import keys, look, paths
from tests.lab.hosts import BY_NAME
from tests.lab.long.weights_alone import ENVIRONMENT

COUNT = 8
HOSTS = [f"extra-{number}" for number in range(1, COUNT + 1)]
HUB = BY_NAME["gw-2"].address
REVISION = "3f1c5f0d6b3a4be0a0b8f7a1c2d3e4f5a6b7c8d9"
PLACE = f"/var/lib/mirrorfleet/weights/coder-{REVISION[:12]}"
FILES, SIZE = 24, 10_000_000
SPEED = 8_000_000
"""Bytes per second of the hub's line, which all connections share: one host needs 30 s."""


def client() -> bytes:
    """Return the hub's client and what it needs as a tar archive, from this machine."""
    names, found = ["huggingface-hub"], set()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        while names:
            name = names.pop()
            if name in found:
                continue
            found.add(name)
            package = distribution(name)
            for file in package.files or ():
                if not str(file).startswith("..") and not str(file).endswith(".pyc"):
                    tar.add(Path(str(file.locate())), str(file))
            needed = map(Requirement, package.requires or ())
            names += [
                each.name
                for each in needed
                if not each.marker or each.marker.evaluate({"extra": ""})
            ]
    return packed.getvalue()


@pytest.fixture(scope="module")
def hosts() -> Iterator[None]:
    """Boot the hosts and give each the hub's client; remove what they got at the end."""
    subprocess.run(["bin/lab", "up", str(COUNT)], cwd=paths.REPOSITORY, check=True)
    archive = client()
    for host in HOSTS:
        look.run(host, f"rm -rf {ENVIRONMENT}; python3 -m venv --without-pip {ENVIRONMENT}")
        unpack = f"cd {ENVIRONMENT}/lib/python3.*/site-packages && tar -xf - --no-same-owner"
        line = keys.ssh(host, ["sudo", "sh", "-c", f"'{unpack}'"])
        subprocess.run(line, input=archive, check=True, capture_output=True)
    yield
    for host in HOSTS:
        look.run(host, f"rm -rf {ENVIRONMENT} {PLACE} {PLACE}.part")


@pytest.fixture(scope="module")
def hub() -> Iterator[None]:
    directory = f"/srv/hub/lab/coder/{REVISION}"
    program = (paths.REPOSITORY / "tests/standins/hub.py").read_text("utf-8")
    look.run("gw-2", f"mkdir -p {directory}; cat >/srv/hub.py", program)
    for number in range(FILES):
        look.run("gw-2", f"head -c {SIZE} /dev/urandom >{directory}/part-{number:02}.dat")
    # An empty model: its header is valid, so that the weights are accepted.
    header = r"printf '\002\000\000\000\000\000\000\000{}'"
    look.run(
        "gw-2", f"{header} >{directory}/model.safetensors; echo '{{}}' >{directory}/config.json"
    )
    look.run(
        "gw-2",
        f"systemd-run --quiet --unit=hub python3 /srv/hub.py /srv/hub 0.0.0.0 8088 {SPEED}; "
        "until ss -Hltn | grep -q :8088; do sleep 0.1; done",
    )
    yield
    look.run("gw-2", "systemctl --quiet stop hub; rm -rf /srv/hub /srv/hub.py")


def fleet(directory: Path, hosts: list[str]) -> Path:
    """Write a fleet with one model on these hosts."""
    (directory / "inventories").mkdir(parents=True)
    (directory / ".lab").symlink_to(paths.ACCESS)
    listed = "".join(f"  {name}: {{address: {BY_NAME[name].address}}}\n" for name in hosts)
    path = directory / "inventories" / "eight.yml"
    path.write_text(
        f"""\
version: 1
name: eight
ssh: {{user: deploy, key: ../.lab/id_ed25519, known_hosts: ../.lab/known_hosts}}
hub: {{url: 'http://{HUB}:8088'}}
hosts:
{listed}
models:
  coder:
    engine: vllm
    version: 0.32.0
    build: cpu
    weights: lab/coder
    revision: {REVISION}
    family: hermes
    hosts: [{", ".join(hosts)}]
    context: 8192
    output: 1024
""",
        "utf-8",
    )
    shutil.copy(look.FLEET.with_suffix(".py"), path.with_suffix(".py"))
    return path


def brought(path: Path) -> tuple[float, Counter[str], str]:
    """Bring the weights; return the seconds, the hub's responses by file, and the output."""
    with look.journal("gw-2", "-u", "hub") as lines:
        began = time.monotonic()
        done = look.pyinfra("-y", str(path.with_suffix(".py")), "tests/lab/long/weights_alone.py")
        seconds = time.monotonic() - began
    output = look.plain(done.stdout + done.stderr)
    assert done.returncode == 0, output
    return seconds, Counter(line.split(" from ")[0] for line in lines if " from " in line), output


def digests(host: str) -> str:
    return look.run(
        host, f"cd {PLACE} && find . -name '*.*' -type f ! -path './.m*' | sort | xargs sha256sum"
    )


@pytest.mark.usefixtures("hosts", "hub")
def test_eight_hosts_take_less_than_twice_the_time_of_one(tmp_path: Path) -> None:
    one, sent, _ = brought(fleet(tmp_path / "one", HOSTS[:1]))
    assert set(sent.values()) == {1}
    look.run(HOSTS[0], f"rm -rf {PLACE}")

    eight, sent, output = brought(fleet(tmp_path / "eight", HOSTS))
    print(f"one host: {one:.1f} s; {COUNT} hosts: {eight:.1f} s; ratio {eight / one:.2f}")
    assert len(sent) == FILES + 2
    assert set(sent.values()) == {1}, "the hub sends each file once"
    assert len({digests(host) for host in HOSTS}) == 1
    assert output.count("came from other hosts") == COUNT
    # Nothing listens or is left after the run.
    for host in HOSTS:
        assert look.run(host, "ss -Hltn 'sport = :7940'; pgrep -u mirrorfleet-vllm || true") == ""
    assert eight / one < 2

    _, sent, _ = brought(fleet(tmp_path / "again", HOSTS))
    assert sent == {}, "a second run asks for nothing"


@pytest.mark.usefixtures("hosts", "hub")
def test_a_host_that_lost_its_weights_gets_them_from_the_others(tmp_path: Path) -> None:
    path = fleet(tmp_path, HOSTS)
    brought(path)
    look.run(HOSTS[3], f"rm -rf {PLACE}")
    _, sent, output = brought(path)
    assert sent == {}
    assert re.search(r"\[extra-4\].* 0\.24 GB came from other hosts", output), output
    assert digests(HOSTS[3]) == digests(HOSTS[0])
