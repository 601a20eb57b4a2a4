"""Kernel settings that the lab needs: `up` raises them, `down` restores them."""

import json
from pathlib import Path

from . import paths

_RECORD = paths.RUN / "kernel.json"

# A booted guest uses about six inotify instances, and all guests share root's limit, 128 by
# default: with that limit, the twentieth host would not boot.
_INSTANCES_PER_HOST = 32


def forget() -> None:
    """Remove a record of an earlier boot of the machine: its settings are no longer in force."""
    _RECORD.unlink(missing_ok=True)


def raise_for(hosts: int) -> None:
    """Let the machine forward packets and run a number of hosts. Record the former settings first,
    and only once, so that they can be restored after a killed `up`."""
    needed = {
        "net/ipv4/ip_forward": 1,
        "fs/inotify/max_user_instances": 128 + _INSTANCES_PER_HOST * hosts,
    }
    if not _RECORD.exists():
        record = json.dumps({name: _read(name) for name in needed})
        draft = _RECORD.with_suffix(".new")
        draft.write_text(record)
        draft.rename(_RECORD)
    for name, value in needed.items():
        if _read(name) < value:
            _write(name, value)


def restore() -> None:
    """Restore the settings that `raise_for` recorded, if there are any."""
    if not _RECORD.exists():
        return
    for name, value in json.loads(_RECORD.read_text()).items():
        _write(name, value)
    _RECORD.unlink()


def _read(name: str) -> int:
    return int(Path("/proc/sys", name).read_text())


def _write(name: str, value: int) -> None:
    Path("/proc/sys", name).write_text(f"{value}\n")
