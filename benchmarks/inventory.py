"""The inventory module of a benchmark's fleet file."""

import os

from mirrorfleet.runtime.inventory import groups

globals().update(groups(os.environ["BENCHMARK_FLEET"]))
