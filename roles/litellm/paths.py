"""Names and places of a gateway on its host."""

from __future__ import annotations

from mirrorfleet.runtime.paths import ROOT, STATE

NAME = "litellm"
USER = "mirrorfleet-litellm"
KEYS = f"{ROOT}/{NAME}/keys"
"""Outside the generations, so that a change of keys needs no restart."""

PLACE = "database"
"""The file that identifies the database: a gateway changes to another one only on request."""

HELD = "/run/mirrorfleet/litellm.held"
"""The file that makes the gateway drain: see mirrorfleet_readiness.py."""

COUNTS = f"{STATE}/{NAME}/counts-1"
"""The token counts that all workers share; another layout needs another name."""

LEDGER = f"{STATE}/{NAME}/usage-1.sqlite"
"""The record of turns that all workers share: see mirrorfleet_ledger.py. Another layout needs
another name, so that a gateway can return to a former generation."""

ZONES = "/usr/share/zoneinfo"
"""The host's time zones, for the periods of budgets: an image may have none."""
