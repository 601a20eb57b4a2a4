"""Re-exports mirrorfleet/runtime/inventory.py, which was here in release 0.1."""

import sys

from mirrorfleet.runtime.inventory import groups

__all__ = ["groups"]

print(
    "warning: roles.host.ssh is for inventory modules of Mirrorfleet 0.1. Replace the import: "
    "from mirrorfleet.runtime.inventory import groups",
    file=sys.stderr,
)
