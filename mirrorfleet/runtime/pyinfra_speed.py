"""What pyinfra and paramiko compute again for each host and operation, although it never changes.

On a thousand hosts this takes more time than all connections. It relies on names inside of pyinfra,
of which pyproject.toml allows one minor release.
"""

from __future__ import annotations

import inspect
from functools import cache, partial
from hmac import compare_digest
from typing import Any

from paramiko import HostKeys
from paramiko import util as paramiko_util
from paramiko.hostkeys import HostKeyEntry
from pyinfra.api import arguments, connectors, util
from pyinfra.connectors import base
from pyinfra.connectors.sshuserclient import client


@cache
def apply() -> None:
    """Make this process compute these things once. Their results stay the same."""
    # Reads the metadata of all packages for each host of an inventory.
    connectors.entry_points = cache(connectors.entry_points)
    # Builds the list of global arguments for each operation of a host.
    arguments.all_global_arguments = cache(arguments.all_global_arguments)
    # Only the file and the line of a frame are needed: not its source, which is read from disk.
    util.stack = partial(inspect.stack, context=0)
    util.getframeinfo = partial(inspect.getframeinfo, context=0)
    # Reads the types of a connector's data for each host.
    base.get_type_hints = cache(base.get_type_hints)  # type: ignore[assignment]
    # Compares the digest of each packet byte by byte, in Python. Both take the same time for any
    # difference.
    paramiko_util.constant_time_bytes_eq = compare_digest  # type: ignore[assignment]
    client.HostKeys = IndexedHostKeys  # type: ignore[misc,assignment]


class IndexedHostKeys(HostKeys):
    """The keys of a known_hosts file by name: paramiko reads all lines at each look.

    For connections, which add keys and remove none.
    """

    def __init__(self, filename: str | None = None) -> None:
        self._places: dict[str, list[int]] = {}
        self._hashed: list[int] = []
        self._indexed = 0
        super().__init__(filename)

    def lookup(self, hostname: str) -> Any:
        """Return the keys of a host by their types, ``None`` for an unknown host."""
        entries: list[HostKeyEntry] = self._entries  # type: ignore[attr-defined]
        for place in range(self._indexed, len(entries)):
            for name in entries[place].hostnames or ():
                # Only a comparison shows which name has this digest.
                known = (
                    self._hashed if name.startswith("|1|") else self._places.setdefault(name, [])
                )
                known.append(place)
        self._indexed = len(entries)
        near = HostKeys()
        places = sorted({*self._places.get(hostname, ()), *self._hashed})
        near._entries = [entries[place] for place in places]  # type: ignore[attr-defined]
        return near.lookup(hostname)
