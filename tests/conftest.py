"""Settings of all tests."""

import os

from hypothesis import settings

# No deadline: slow machines must not fail a test. CI repeats the same examples, so that only a
# change can cause a failure; local runs draw new ones.
settings.register_profile("here", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("here")

# Tables are as wide as COLUMNS: a test must not depend on the terminal that it is started from.
os.environ.pop("COLUMNS", None)
