"""The options of one run: `--data NAME=VALUE`."""

from __future__ import annotations

from mirrorfleet.runtime import run


def option(name: str) -> str:
    """Return the value of an option, "" if it was not given, or outside of a run."""
    if not run.is_present():
        return ""
    data = run.state().inventory.get_override_data()  # type: ignore[no-untyped-call]
    return str(data.get(name, ""))
