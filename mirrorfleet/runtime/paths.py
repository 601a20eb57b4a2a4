"""Where our things stand on a host. Whatever is not below these, a service of ours cannot write."""

ROOT = "/opt/mirrorfleet"
"""Software and configuration: a directory per service."""

STATE = "/var/lib/mirrorfleet"
"""What services keep, weights, and files on their way."""

WEIGHTS = f"{STATE}/weights"
"""Of engines that are given theirs: a directory for each model and what its weights are."""
