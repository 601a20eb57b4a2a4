"""invoke, a dependency of paramiko: imported at its first use instead of with paramiko.

paramiko needs it only for `Match exec` in a user's own SSH configuration. Its import takes as long
as eight connections: it brings asyncio, unittest.mock and a YAML library of its own.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

NAME = "invoke"


class _Late(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system looks for these
            raise AttributeError(name)
        sys.modules.pop(NAME, None)
        import invoke

        return getattr(invoke, name)


def defer() -> None:
    """Defer the import, unless invoke is imported already. It must come before paramiko's own."""
    sys.modules.setdefault(NAME, _Late(NAME))
