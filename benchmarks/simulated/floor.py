"""The floor on simulated hosts: one connection and one exec per host, and nothing else.

    python -m benchmarks.simulated.floor DIRECTORY HOSTS PORT [SCRIPT]

It is benchmarks/peers/floor.py with as many hosts at once as pyinfra has by default.
"""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402
import sys  # noqa: E402
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402

import paramiko  # noqa: E402
from gevent.pool import Pool  # noqa: E402

from benchmarks.peers.floor import one  # noqa: E402
from benchmarks.simulated import fleet_file  # noqa: E402


def main(directory: Path, count: int, port: int, text: bytes = b"") -> None:
    """Run the command on every host; raise an exception if one fails."""
    key = paramiko.Ed25519Key.from_private_key_file(str(directory / "id"))
    host_key = paramiko.Ed25519Key.from_private_key_file(str(directory / "host"))

    def visit(number: int) -> None:
        address = fleet_file.address(number)
        known = paramiko.HostKeys()
        known.add(f"[{address}]:{port}", host_key.get_name(), host_key)
        one(address, key, known, text, user=fleet_file.OPERATOR, port=port)

    pool = Pool(20 * (os.cpu_count() or 1))
    for job in [pool.spawn(partial(visit, number)) for number in range(count)]:
        job.get()


if __name__ == "__main__":
    given = [Path(sys.argv[4]).read_bytes()] if len(sys.argv) > 4 else []
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *given)
