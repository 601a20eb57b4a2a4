"""The command `mirrorfleet`, as `python -m mirrorfleet`."""

from mirrorfleet.cli.main import run

run()
