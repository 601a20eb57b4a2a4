"""Gateways side by side on loopback, in front of an engine that answers at once."""
