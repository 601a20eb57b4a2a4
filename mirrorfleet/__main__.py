"""`python -m mirrorfleet`, which is the command `mirrorfleet`."""

from mirrorfleet.cli.main import run

run()
