"""Write what a Prometheus and a Grafana need to watch a fleet."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mirrorfleet import fleet, monitoring
from mirrorfleet.cli import Commands


def declare(commands: Commands) -> None:
    parser = commands.add_parser("monitoring", help="write what Prometheus and Grafana need")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("directory", metavar="DIRECTORY", type=Path, help="where to write it")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    planned = fleet.plan(fleet.load(chosen.file))
    try:
        chosen.directory.mkdir(parents=True, exist_ok=True)
        for name, content in monitoring.files(planned).items():
            (chosen.directory / name).write_text(content, "utf-8")
            print(chosen.directory / name)
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    for each in monitoring.unwatched(planned):
        print(f"warning: {each}", file=sys.stderr)
    return 0
