"""The pyinfra face of the fleet that a benchmark has written."""

import os

from roles.host.ssh import inventory

hosts = inventory(os.environ["BENCHMARK_FLEET"])
