"""Checks of the system of hosts with services."""
