"""Mirrorfleet: one file describes a fleet of GPU hosts, gateways and Claude Code clients."""

__version__ = "0.2.0"
