"""The command `mirrorfleet`: one module per command, imported when that command runs."""
