"""What holds for all tests."""

import os

from hypothesis import settings

# No test fails on a time. Where a change is judged, it is judged by the same examples each time;
# elsewhere, by new ones.
settings.register_profile("here", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("here")
