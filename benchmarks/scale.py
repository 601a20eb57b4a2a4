"""Time and memory of check and plan by the size of a fleet: python -m benchmarks.scale

Each size is measured in its own processes: the median of five, compared with the floor, which only
reads the same file with libyaml. A tenth of the hosts are gateways, half have GPUs, and developers
share the others: five developers per host of the fleet.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from mirrorfleet import fleet

SIZES = (10, 30, 100, 300, 1000)
RUNS = 5


def text(size: int) -> str:
    """Return a fleet file with ``size`` hosts, size / 20 models and five users per host."""
    gateways, gpus, models = max(1, size // 10), size // 2, max(1, size // 20)
    desks = size - gateways - gpus
    hosts = {
        **{f"gpu-{at}": _host(1, at, "gpus: {count: 8}") for at in range(gpus)},
        **{f"gw-{at}": _host(2, at, "labels: [gateway]") for at in range(gateways)},
        **{f"dev-{at}": _host(3, at, "labels: [desk]") for at in range(desks)},
    }
    share = gpus // models
    served = {
        f"model-{at}": "{engine: vllm, version: 0.32.0, weights: {path: /srv/model}, "
        f"family: hermes, hosts: [{', '.join(f'gpu-{at * share + one}' for one in range(share))}], "
        "context: 131072, output: 8192, tensor_parallel: 8, api_key: {env: ENGINE_KEY}}"
        for at in range(models)
    }
    groups = {
        f"team-{at}": f"{{hosts: [dev-{at}], users: [{_users(at, 5 * size // desks)}], "
        f"model: sonnet, version: 2.1.331, key: {{env: TEAM_{at}}}}}"
        for at in range(desks)
    }
    return "\n".join(
        [
            "version: 1\nname: scale",
            *_section("hosts", hosts),
            *_section("models", served),
            "gateway: {hosts: {labels: [gateway]}, url: https://llm.example.com, "
            "version: 1.106.12, master_key: {env: MASTER_KEY}}",
            "aliases: {opus: model-0, sonnet: model-0, haiku: model-0}",
            *_section("developers", groups),
        ]
    )


def _host(network: int, at: int, has: str) -> str:
    return f"{{address: 10.{network}.{at // 250}.{at % 250 + 1}, {has}}}"


def _users(group: int, count: int) -> str:
    return ", ".join(f"u{group}-{at}" for at in range(count))


def _section(name: str, entries: dict[str, str]) -> list[str]:
    return [f"{name}:", *(f"  {key}: {value}" for key, value in entries.items())]


def measure(path: Path) -> tuple[float, float, int]:
    """Return the seconds of the floor and of check + plan, and the peak memory in MB."""
    start = time.perf_counter()
    yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)
    floor = time.perf_counter() - start
    start = time.perf_counter()
    fleet.plan(fleet.load(path))
    seconds = time.perf_counter() - start
    return floor, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    print("| hosts | models | developers | check + plan | x libyaml | us per host | peak memory |")
    print("|---|---|---|---|---|---|---|")
    for size in SIZES:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "fleet.yml"
            path.write_text(text(size), "utf-8")
            runs = [_in_a_process(path) for _ in range(RUNS)]
        floor, seconds, memory = (statistics.median(column) for column in zip(*runs, strict=True))
        print(
            f"| {size} | {max(1, size // 20)} | {5 * size} | {seconds:.2f} s "
            f"| {seconds / floor:.1f} "
            f"| {seconds / size * 1e6:.0f} | {memory:.0f} MB |"
        )


def _in_a_process(path: Path) -> tuple[float, ...]:
    program = [sys.executable, "-m", "benchmarks.scale", str(path)]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    return tuple(map(float, done.stdout.split()))


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print(*measure(Path(sys.argv[1])))
    else:
        main()
