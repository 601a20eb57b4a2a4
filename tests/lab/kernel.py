"""Kernel settings that the lab needs: raised by `up`, put back by `down`."""

import json
from pathlib import Path

from . import paths

_RECORD = paths.RUN / "kernel.json"

# A booted guest holds about six inotify instances, and all guests share root's allowance,
# 128 on an ordinary machine: without more of them the twentieth host does not boot.
_INSTANCES_PER_HOST = 32


def forget() -> None:
    """Drop a record that an earlier boot of the machine left: its settings are gone already."""
    _RECORD.unlink(missing_ok=True)


def raise_for(hosts: int) -> None:
    """Let the machine forward packets and carry so many hosts. What was there before is recorded
    first, and only once, so that a killed `up` and the next one still restore the original."""
    wanted = {
        "net/ipv4/ip_forward": 1,
        "fs/inotify/max_user_instances": 128 + _INSTANCES_PER_HOST * hosts,
    }
    if not _RECORD.exists():
        record = json.dumps({name: _read(name) for name in wanted})
        draft = _RECORD.with_suffix(".new")
        draft.write_text(record)
        draft.rename(_RECORD)
    for name, value in wanted.items():
        if _read(name) < value:
            _write(name, value)


def restore() -> None:
    """Put back what `raise_for` recorded, if anything."""
    if not _RECORD.exists():
        return
    for name, value in json.loads(_RECORD.read_text()).items():
        _write(name, value)
    _RECORD.unlink()


def _read(name: str) -> int:
    return int(Path("/proc/sys", name).read_text())


def _write(name: str, value: int) -> None:
    Path("/proc/sys", name).write_text(f"{value}\n")
