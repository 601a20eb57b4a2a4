"""Report every mistake of fleet files."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any

import click

from mirrorfleet import fleet
from mirrorfleet.checks import tried
from mirrorfleet.cli.command import Command, exclusive
from mirrorfleet.cli.fleet_file import OTHERWISE, default
from mirrorfleet.config.problems import Problem, dotted, in_order, printable


@click.command(
    "check",
    cls=Command,
    examples=(
        "mirrorfleet check inventories/prod.yml",
        "mirrorfleet check --secrets inventories/prod.yml",
        "mirrorfleet check --github inventories/*.yml",
    ),
)
@click.argument(
    "files",
    nargs=-1,
    metavar="[FILE]...",
    type=click.Path(),
    help=f"The fleet files. Default: {OTHERWISE}.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per file.")
@click.option("--github", is_flag=True, help="Print annotations of a GitHub workflow.")
@click.option("--secrets", is_flag=True, help="Read the secrets on this machine as well.")
@click.pass_context
def command(
    context: click.Context,
    files: tuple[str, ...],
    *,
    as_json: bool,
    github: bool,
    secrets: bool,
) -> int:
    """Report every mistake of fleet files, each with its line and its fix.

    No host is contacted. The exit code is 1 if a file has a mistake; warnings alone leave it 0. A
    note names releases that the tests of Mirrorfleet have not run together.
    With `--secrets`, the command reads each secret and reports those that are missing, empty, too
    short or have several lines. It prints no value.
    """
    exclusive(json=as_json, github=github)
    results = [_checked(file, secrets) for file in files or (default(context.command_path),)]
    if as_json:
        print(json.dumps([_plain(*result) for result in results], indent=2))
        return _code(results)
    for file, hosts, problems in results:
        for problem in problems:
            print(_annotation(problem) if github else problem, file=sys.stderr)
        result = "rejected" if hosts is None else _number(hosts, "host")
        if hosts is not None or any(problem.place.line for problem in problems):
            print(f"{printable(file)}: {result}, {_count(problems)}")
    return _code(results)


Result = tuple[str, int | None, tuple[Problem, ...]]
"""A file, how many hosts it describes (``None`` when it is rejected), and its problems."""


def _code(results: list[Result]) -> int:
    return 0 if all(_accepted(problems) for _, _, problems in results) else 1


def _accepted(problems: tuple[Problem, ...]) -> bool:
    return all(problem.severity != "error" for problem in problems)


def _checked(file: str, secrets: bool) -> Result:
    try:
        planned = fleet.plan(fleet.load(file))
    except fleet.FleetError as error:
        return file, None, error.problems
    problems = planned.fleet.warnings
    if secrets:
        # This imports pyinfra, which takes a third of a second.
        from mirrorfleet.jobs import secrets as job

        problems = in_order([*problems, *job.problems(planned.fleet)])
    problems = (*problems, *tried.notes(planned.fleet))
    return file, len(planned.hosts), problems


def _count(problems: tuple[Problem, ...]) -> str:
    counts = Counter(problem.severity for problem in problems)
    counted = [_number(counts["error"], "mistake")]
    if counts["warning"]:
        counted.append(_number(counts["warning"], "warning"))
    return ", ".join(counted)


def _number(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def _plain(file: str, hosts: int | None, problems: tuple[Problem, ...]) -> dict[str, Any]:
    return {
        "file": file,
        "accepted": _accepted(problems),
        "problems": [
            {
                "file": problem.place.file,
                "line": problem.place.line or None,
                "key": dotted(problem.key),
                "severity": problem.severity,
                "mistake": problem.mistake,
                "remedy": problem.remedy,
            }
            for problem in problems
        ],
    }


def _annotation(problem: Problem) -> str:
    """Write a problem as a workflow command, in which these characters have meanings of their own.

    https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
    """
    text = problem.text.replace("%", "%25")
    file = printable(problem.place.file)
    file = file.replace("%", "%25").replace(",", "%2C").replace(":", "%3A")
    line = f",line={problem.place.line}" if problem.place.line else ""
    kind = "notice" if problem.severity == "note" else problem.severity
    return f"::{kind} file={file}{line}::{text}"
