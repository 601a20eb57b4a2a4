"""What a person has said for one run: `--data NAME=VALUE`."""

from __future__ import annotations

from pyinfra.context import ctx_state


def said(name: str) -> str:
    """Return the value of a name, "" where nothing was said of it."""
    data = ctx_state.get().inventory.get_override_data()  # type: ignore[no-untyped-call]
    return str(data.get(name, ""))
