"""The former place of mirrorfleet/runtime/inventory.py."""

import sys

from mirrorfleet.runtime.inventory import groups

__all__ = ["groups"]

print(
    "warning: roles.host.ssh is for inventory modules of Mirrorfleet 0.1. Write this in yours: "
    "from mirrorfleet.runtime.inventory import groups",
    file=sys.stderr,
)
