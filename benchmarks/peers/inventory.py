"""The lab's hosts for the idiomatic pyinfra deploy, with the end state as their data."""

import json
import os
from pathlib import Path

from tests.lab import keys
from tests.lab.hosts import OPERATOR

_known = json.loads(Path(os.environ["BENCHMARK_PEERS"]).read_text("utf-8"))

hosts = [
    (
        name,
        {
            "ssh_hostname": peer["address"],
            "ssh_user": OPERATOR,
            "ssh_key": str(keys.IDENTITY),
            "ssh_known_hosts_file": str(keys.KNOWN_HOSTS),
            "ssh_strict_host_key_checking": "yes",
            "_sudo": True,
            **peer["state"],
        },
    )
    for name, peer in _known.items()
]
