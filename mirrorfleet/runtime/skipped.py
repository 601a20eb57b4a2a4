"""What a run skips on a host: reported at once, and again at the end, with exit code 1.

A broken home or a missing GPU concerns one host. The run continues elsewhere, above all with keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyinfra import logger
from pyinfra.api import Host, State
from pyinfra.api.command import PyinfraCommand

from mirrorfleet.config.problems import Part, Problem
from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime import run
from mirrorfleet.runtime.commands import Commands, operation
from mirrorfleet.runtime.run import Skipped


def on_host(plan: HostPlan) -> Skipped:
    """Return what this run skips on a host."""
    return run.current().skipped.setdefault(plan.name, Skipped())


def skip(host: Host, problem: Problem) -> None:
    """Skip the problem's part of a host, or a smaller thing, and report the problem once."""
    found = on_host(run.plan_of(host))
    if problem.part:
        found.parts.add(problem.part)
    if problem not in found.problems:
        found.problems.append(problem)
        host.log(f"skipped: {problem.text}", logger.warning)


def is_skipped(plan: HostPlan, part: Part) -> bool:
    """Return whether this run skips a part of a host."""
    return part in on_host(plan).parts


def homes(plan: HostPlan) -> Mapping[str, str]:
    """Return the reasons why homes of a host could not be written, by user."""
    return on_host(plan).homes


class _Fail(PyinfraCommand):
    """A command that fails without contacting the host."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines

    def execute(self, state: State, host: Host, connector_arguments: Any) -> bool:
        for line in self.lines:
            host.log(f"skipped: {line}", logger.error)
        return False


def finish() -> None:
    """End the run on this host: it fails if something was skipped, so that the exit code is 1.

    Call it last in a deploy: a failed host takes no further part in a run.
    """
    _finish(name="what was skipped")


@operation
def _finish() -> Commands:
    found = on_host(run.plan())
    reasons = [*(problem.text for problem in found.problems), *found.homes.values()]
    # A later step can still skip something, but only where there are steps.
    if reasons or (not run.state().is_executing and run.host().op_hash_order):
        yield _Fail(reasons)
