"""The fleet file of the simulated hosts: machines of developers, each with one user."""

from __future__ import annotations

from pathlib import Path

OPERATOR, USER = "operator", "dev"
SECRETS = {"BENCHMARK_KEY": "sk-benchmark-of-a-developer"}
FIRST = 0x7F010001
"""The address of the first host, 127.1.0.1: on Linux, all of 127.0.0.0/8 is this machine."""


def address(number: int) -> str:
    """Return the address of the host with this number, from 0."""
    return ".".join(str(byte) for byte in (FIRST + number).to_bytes(4, "big"))


def write(directory: Path, count: int, port: int) -> Path:
    """Write a fleet file with ``count`` hosts behind a port, and return its path.

    The directory has the key, as ``id``, and gets the known_hosts file, a line for each host.
    """
    host_key = (directory / "host.pub").read_text("utf-8").strip()
    known = (f"[{address(number)}]:{port} {host_key}\n" for number in range(count))
    (directory / "known_hosts").write_text("".join(known), "utf-8")
    hosts = {f"dev-{number:05}": address(number) for number in range(count)}
    ssh = f"{{user: {OPERATOR}, port: {port}, key: id, known_hosts: known_hosts}}"
    return _write(directory / "fleet.yml", f"ssh: {ssh}", hosts)


def write_local(directory: Path) -> Path:
    """Write the fleet file of the one real host, which is the machine that applies it."""
    return _write(directory / "local.yml", "", {"dev-00000": "local"})


def _write(path: Path, ssh: str, hosts: dict[str, str]) -> Path:
    lines = [
        "version: 1",
        "name: simulated",
        ssh,
        "hosts:",
        *(f"  {name}: {{address: {where}, labels: [desk]}}" for name, where in hosts.items()),
        "models:",
        "  claude-sonnet-5-5: {context: 200000, output: 32000, claude: true}",
        "  coder: {context: 131072, output: 16384}",
        'gateway: {url: "https://llm.example.com", external: true}',
        "aliases: {opus: claude-sonnet-5-5, sonnet: claude-sonnet-5-5, haiku: coder}",
        "developers:",
        f"  everyone: {{hosts: {{labels: [desk]}}, users: [{USER}], model: sonnet, "
        "version: 2.1.331, key: {env: BENCHMARK_KEY}}",
    ]
    path.write_text("\n".join(filter(None, lines)) + "\n", "utf-8")
    return path
