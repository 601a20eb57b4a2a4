"""Which releases tests ran with: a plugin that records what passed, for docs/reference/matrix.md.

A test that starts a real part says so with `ran_with`. With MIRRORFLEET_RECORD=FILE, the run writes
each module's parts and results into the file. `python -m tools.record` adds it to the
matrix.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest

Part = Literal["client", "gateway", "engine", "system"]

_parts: dict[str, str] = {}
"""The real parts of the module that runs in this process."""


def ran_with(part: Part, release: str) -> None:
    """Record that the tests of this module run with a real part, on this machine or on hosts."""
    _parts.setdefault("system", system(Path("/etc/os-release").read_text("utf-8")))
    _parts[part] = release


def system(os_release: str) -> str:
    """Return name and release of a host's system, from the text of /etc/os-release."""
    words = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    return " ".join(words[key].strip('"') for key in ("NAME", "VERSION_ID")).replace(
        "GNU/Linux ", ""
    )


class Parts:
    """In each process that runs tests: which real parts the tests of a module use."""

    def __init__(self) -> None:
        self.module = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Forget the parts of the module before."""
        if (module := _module(item.nodeid)) != self.module:
            self.module = module
            _parts.clear()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach the parts to the report: it travels from a worker of xdist to the controller."""
        report = yield
        report.user_properties.append((PARTS, dict(_parts)))
        return report


class Results:
    """In the process that reports: the results by module, written into ``file`` at the end."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.modules: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test that passed, and one that failed in any of its phases."""
        fresh = {"date": f"{datetime.now(UTC):%F}", "parts": {}, "passed": 0, "failed": 0}
        module = self.modules.setdefault(_module(report.nodeid), fresh)
        module["parts"].update(*(value for name, value in report.user_properties if name == PARTS))
        module["failed"] += report.failed
        module["passed"] += report.passed and report.when == "call"

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write the modules of a whole run; those of former runs stay in the file."""
        if exitstatus == pytest.ExitCode.INTERRUPTED:
            return
        former = json.loads(self.file.read_text("utf-8")) if self.file.exists() else {}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**former, **self.modules}, indent=1, sort_keys=True)
        self.file.write_text(text + "\n", "utf-8")


PARTS = "parts"


def _module(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def register(config: pytest.Config) -> None:
    """Record this run, if MIRRORFLEET_RECORD names a file."""
    if file := os.environ.get("MIRRORFLEET_RECORD"):
        config.pluginmanager.register(Parts())
        if not hasattr(config, "workerinput"):  # a worker of xdist reports to its controller
            config.pluginmanager.register(Results(Path(file).absolute()))
