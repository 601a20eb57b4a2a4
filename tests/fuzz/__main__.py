"""Mutate fleet files and key files and read them: python -m tests.fuzz [COUNT] [SEED]

On crashes, prints the traceback of each kind, keeps the first file of each, and exits with 1. It
also counts the files that cost much, and keeps the one that costs most: they fail nothing.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pyinfra.api.exceptions import DeployError

from mirrorfleet import fleet
from mirrorfleet.config.key_derivation import weakness
from mirrorfleet.config.problems import FleetError
from mirrorfleet.config.reader import Secret
from mirrorfleet.jobs import show
from mirrorfleet.monitoring import files as monitoring
from mirrorfleet.planning.explain import values
from mirrorfleet.planning.keys import keys
from mirrorfleet.planning.topology import mermaid
from mirrorfleet.runtime.secrets import _reveal, _reveal_text, reveal, reveal_text
from tests.fuzz import mutations

ROOT = Path(__file__).parents[2]

MEMORY = 1536 * 1024**2
"""Limit of address space in bytes. Reading unchanged files needs a third of it."""

SLOW = 2.0
"""Seconds of CPU time that a file should not need: a busy machine does not change them."""

LARGE = 300 * 10**6
"""Bytes of memory that reading a file should not need."""

KEY_FILES = (
    "sk-1234567890abcdef\n",
    "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26",
    '{"type": "service_account", "private_key": "-----BEGIN\\n"}',
    "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----\n",
)


def corpus(directory: Path) -> list[Path]:
    """Copy all fleet files, and other YAML files, to a directory; return the copies."""
    for source in ("tests/fleet/good", "tests/fleet/bad", "tests/fleet/warned"):
        shutil.copytree(ROOT / source, directory / source)
    shutil.copytree(ROOT / "tests/fleet/foreign", directory / "tests/fleet/foreign")
    shutil.copytree(ROOT / "inventories", directory / "inventories")
    (directory / "tests/roles").mkdir()
    for path in (ROOT / "tests/roles").glob("*.yml"):
        shutil.copy(path, directory / "tests/roles")
    found = sorted(directory.rglob("*.yml"))
    # Mutants of a file with mistakes are mostly refused for these: prefer files without mistakes.
    return found + 5 * [path for path in found if path.parent.name in ("good", "inventories")]


def fleet_file(path: Path) -> str:
    """Read a fleet file as all commands do; return the outcome. Any other exception is a crash."""
    try:
        accepted = fleet.load(path)
    except FleetError as error:
        lines = str(error).splitlines()
        assert lines and all(line.isprintable() for line in lines), "a message of several lines"
        assert len(lines) == len(error.problems)
        return "refused"
    assert all(str(warning).isprintable() for warning in accepted.warnings)
    planned = fleet.plan(accepted)
    mermaid(accepted)
    list(keys(accepted))
    monitoring(planned)
    for plan in planned.hosts.values():
        plan.to_json()
        list(values(planned, plan))
        try:
            list(show.files(plan))
        except (DeployError, OSError):
            return "not shown"
    return "accepted"


def key_file(path: Path) -> str:
    """Read a key file; return the outcome."""
    secret = Secret("file", path.name, path.parent)
    _reveal.cache_clear()
    _reveal_text.cache_clear()
    for read in (reveal, reveal_text):
        try:
            value = read(secret)
            assert value and (read is reveal_text or value.isprintable())
            weakness(value)
        except DeployError as error:
            assert str(error).startswith(f"the secret {{file: {path.name}}} ")
            return "no key"
    return "a key"


@dataclass
class Cost:
    """What files cost, one after another: how many too much, the most, and where that file is."""

    unit: str
    limit: float
    above: int = 0
    most: float = 0
    file: str = ""

    def add(self, spent: float, number: int, kept: str, content: bytes) -> None:
        """Count a file. Keep it if it costs more than the limit, and more than all before."""
        self.above += spent > self.limit
        if spent > max(self.limit, self.most):
            self.file = f", kept as {_keep(f'{kept}-{number}', content)}"
        self.most = max(self.most, spent)

    def __str__(self) -> str:
        most = f"the most: {self.most:.2f}{self.file}"
        return f"{self.above} above {self.limit:.0f} {self.unit} ({most})"


@dataclass
class Costs:
    """Time and memory of the files of one run."""

    time: Cost = field(default_factory=lambda: Cost("s of CPU time", SLOW))
    memory: Cost = field(default_factory=lambda: Cost("MB of memory", LARGE / 10**6))

    @contextmanager
    def of(self, number: int, content: bytes) -> Iterator[None]:
        """Measure what a file costs during the block."""
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins at the present memory
        began = time.process_time()
        try:
            yield
        finally:
            self.time.add(time.process_time() - began, number, "slow", content)
            self.memory.add(_peak() / 10**6, number, "large", content)


def _peak() -> int:
    """Return the peak of this process's memory in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _keep(name: str, content: bytes) -> Path:
    kept = Path(tempfile.gettempdir()) / f"mirrorfleet-{name}"
    kept.write_bytes(content)
    return kept


def run(count: int, seed: int) -> tuple[Counter[str], Costs]:
    """Read ``count`` mutants; return how often each outcome came, crashes included, and costs."""
    outcomes: Counter[str] = Counter()
    costs = Costs()
    with tempfile.TemporaryDirectory() as scratch:
        files = corpus(Path(scratch))
        donated = mutations.donors(path.read_text("utf-8", "replace") for path in files)
        for number in range(count):
            chance = random.Random(seed * 1_000_003 + number)
            if number % 10 == 9:
                path = Path(scratch) / "key"
                content = mutations.text(chance.choice(KEY_FILES), chance)
            else:
                original = chance.choice(files)
                path = original.with_name(f"mutant-{original.name}")
                source = original.read_text("utf-8", "replace")
                if chance.random() < 0.4:
                    content = mutations.text(source, chance)
                else:
                    content = mutations.data(source, chance, donated)
            path.write_bytes(content)
            try:
                with costs.of(number, content):
                    outcome = key_file(path) if path.name == "key" else fleet_file(path)
                outcomes[outcome] += 1
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                kind = f"{type(error).__name__} in {Path(where.filename).name}:{where.lineno}"
                if kind not in outcomes:
                    kept = _keep(f"crash-{seed}-{number}", content)
                    print(f"{kind}: {path.relative_to(scratch)}, kept as {kept}", file=sys.stderr)
                    traceback.print_exc()
                outcomes[kind] += 1
            finally:
                path.unlink()
    return outcomes, costs


EXPECTED = {"accepted", "refused", "not shown", "a key", "no key"}


def main(arguments: list[str]) -> int:
    count, seed = (*map(int, arguments), *(1000, 0)[len(arguments) :])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.environ.pop("HOME", None)
    outcomes, costs = run(count, seed)
    print(f"{count} files, seed {seed}: {dict(outcomes)}, {costs.time}, {costs.memory}")
    return 1 if outcomes.keys() - EXPECTED else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
