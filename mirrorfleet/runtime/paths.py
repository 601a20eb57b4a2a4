"""Directories of Mirrorfleet on a host. Its services can write nowhere else."""

ROOT = "/opt/mirrorfleet"
"""Software and configuration, in one directory per service."""

STATE = "/var/lib/mirrorfleet"
"""State of services, weights, and files in transit."""

WEIGHTS = f"{STATE}/weights"
"""Weights that runs bring: one directory per model and version of its weights."""
