"""Terminal output of the documentation as SVG: what the commands print for the example fleets."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from mirrorfleet import fleet, terminal
from mirrorfleet.jobs.status import table as status_table
from mirrorfleet.jobs.status.state import GpuLoad, HostState, Process, Running, ServiceState
from mirrorfleet.jobs.verify import table as verify_table
from mirrorfleet.jobs.verify.checks import rows
from mirrorfleet.jobs.verify.layers import layers
from mirrorfleet.jobs.verify.targets import targets
from mirrorfleet.jobs.verify.turns import HostReport
from mirrorfleet.runtime.facts import Unit, UnitState
from mirrorfleet.runtime.observe import assumed
from tests import in_process
from tests.docs.pages import ROOT
from tests.roles.answers import with_values
from tests.roles.test_verify import ADA, healthy, turn, well

WIDTH = 110

# No font from another server: the fonts of the reader's machine.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.S).replace(
    "Fira Code, monospace", "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
)

MISTAKES = """\
version: 1
name: small
hosts: {gpu: {address: 10.0.1.11, gpus: {count: 2}}, gw: {address: 10.0.2.11}}
models:
  coder: {engine: vllm, version: 0.32.0, weights: {path: /srv/models/coder}, family: qwen3-coder,
          hosts: [gpu], context: 131072, output: 131072, tensor_paralel: 2, api_key: {env: KEY}}
gateway: {hosts: [gw], version: 1.106.12, master_key: {env: MASTER_KEY}}
aliases: {opus: codre}
"""


def check(directory: Path) -> str:
    """Draw the mistakes of a fleet file; ``directory`` is for the file."""
    (directory / "small.yml").write_text(MISTAKES)
    return _command(directory, "check", "small.yml")


def why(directory: Path) -> str:
    """Draw where a derived value comes from."""
    del directory
    return _command(ROOT, "why", "CLAUDE_CODE_MAX_CONTEXT_TOKENS", "inventories/prod.yml")


def verify(directory: Path) -> str:
    """Draw the lab with a stopped gateway and an engine whose parser fails: recorded answers."""
    del directory
    hosts = fleet.plan(fleet.load(ROOT / "inventories/lab.yml")).hosts
    stopped = {Unit("mirrorfleet-litellm.service"): UnitState("inactive")}
    found = [
        layer
        for name, each in hosts.items()
        for layer in layers(each, with_values(healthy(each), stopped if name == "gw-1" else {}))
    ]
    turns = well() | {"tool tiny": turn("call-as-text")}
    answers = HostReport(assumed(), {ADA: turns}, {ADA: ("/usr/local/bin/claude", "")})
    lines = [row for target in targets(hosts) for row in rows(target, answers, found)]
    return _drawn(
        "pyinfra inventories/lab.py deploys/verify.py",
        lambda: verify_table.show(found, lines, {}),
    )


def status(directory: Path) -> str:
    """Draw a fleet in which one gateway needs another generation and a GPU host does not answer."""
    del directory
    gib = 1024**3
    gpus = tuple(GpuLoad(used * gib, 80 * gib, busy) for used, busy in ((71, 94), (70, 91)))
    found = {
        "gpu-a": HostState(
            Running("12 days", "3.10", 410 * gib, gpus, {}),
            820 * gib,
            (
                ServiceState(
                    "vllm-coder",
                    Process("active", True, 1_036_800, 0, 38 * gib),
                    "8a07cf01d2be",
                    "8a07cf01d2be",
                ),
                ServiceState("firewall", Process("active", True, 1_036_900, 0, None)),
            ),
            (),
            (),
        ),
        "gw-a": HostState(
            Running("40 days", "0.42", 12 * gib, (), {}),
            64 * gib,
            (
                ServiceState(
                    "litellm",
                    Process("active", True, 345_600, 1, 2 * gib),
                    "6437a26fded5",
                    "c1b0f0a9e77d",
                ),
            ),
            ("litellm: config.yaml differs",),
            (),
        ),
    }
    return _drawn(
        "pyinfra inventories/prod.py deploys/status.py",
        lambda: status_table.show(found, {"gpu-b": "could not be reached"}, {}),
    )


def _command(directory: Path, *arguments: str) -> str:
    """Draw what `mirrorfleet` prints in a directory."""
    environment = {**os.environ, "COLUMNS": str(WIDTH)}
    output, errors = io.StringIO(), io.StringIO()
    in_process.run([*arguments], directory, environment, output, errors)
    return printed(f"mirrorfleet {' '.join(arguments)}", output.getvalue() + errors.getvalue())


def printed(command: str, text: str, width: int = WIDTH) -> str:
    """Draw a command and the text that it has printed."""
    console = _console(width)
    return _drawn(command, lambda: console.print(Text(text), end=""), console)


def _console(width: int = WIDTH) -> Console:
    return Console(
        record=True,
        width=width,
        file=io.StringIO(),
        highlight=False,
        force_terminal=True,
        legacy_windows=False,
        _environ={},
    )


def _drawn(command: str, show: Callable[[], None], console: Console | None = None) -> str:
    """Return a command and what ``show`` prints, as a terminal window."""
    console = console or _console()
    console.print(Text(f"$ {command}", style="bold"))
    with patch.object(terminal, "console", lambda: console):
        show()
    drawing = console.export_svg(title="", code_format=FORMAT, unique_id="terminal")
    return "\n".join(line.rstrip() for line in drawing.splitlines()) + "\n"
