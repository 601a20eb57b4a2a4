"""The inventory module of the fleet that a benchmark has written."""

import os

from mirrorfleet.runtime.inventory import groups

globals().update(groups(os.environ["BENCHMARK_FLEET"]))
