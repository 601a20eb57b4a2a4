"""Report every mistake of fleet files."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from typing import Any

from mirrorfleet import fleet
from mirrorfleet.cli import Commands
from mirrorfleet.config.problems import Problem, dotted, printable


def declare(commands: Commands) -> None:
    parser = commands.add_parser("check", help="report every mistake of fleet files")
    parser.add_argument("files", nargs="+", metavar="FILE")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs: one object per file")
    form.add_argument("--github", action="store_true", help="as annotations of a GitHub workflow")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Check each file; warnings alone do not fail."""
    results = [_checked(file) for file in chosen.files]
    if chosen.json:
        print(json.dumps([_plain(*result) for result in results], indent=2))
    for file, hosts, problems in results if not chosen.json else ():
        for problem in problems:
            print(_annotation(problem) if chosen.github else problem, file=sys.stderr)
        result = "refused" if hosts is None else _number(hosts, "host")
        if hosts is not None or any(problem.place.line for problem in problems):
            print(f"{printable(file)}: {result}, {_count(problems)}")
    return 1 if any(hosts is None for _, hosts, _ in results) else 0


Result = tuple[str, int | None, tuple[Problem, ...]]
"""A file, how many hosts it describes (``None`` when it is refused), and its problems."""


def _checked(file: str) -> Result:
    try:
        planned = fleet.plan(fleet.load(file))
    except fleet.FleetError as error:
        return file, None, error.problems
    return file, len(planned.hosts), planned.fleet.warnings


def _count(problems: tuple[Problem, ...]) -> str:
    counts = Counter(problem.severity for problem in problems)
    said = [_number(counts["error"], "mistake")]
    if counts["warning"]:
        said.append(_number(counts["warning"], "warning"))
    return ", ".join(said)


def _number(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def _plain(file: str, hosts: int | None, problems: tuple[Problem, ...]) -> dict[str, Any]:
    return {
        "file": file,
        "accepted": hosts is not None,
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
    return f"::{problem.severity} file={file}{line}::{text}"
