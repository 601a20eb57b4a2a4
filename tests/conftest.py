"""Settings of all tests."""

import os
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from gevent import monkey
from hypothesis import settings

from tests import record

# pytest-xdist has threads that gevent does not know. A worker waits for its next test on a lock of
# such a thread: with gevent's locks, it waited forever in one of a few runs. So pyinfra patches
# nothing in tests, and greenlets run one after another.
monkey.patch_all = lambda **_: False

# No deadline: slow machines must not fail a test. CI repeats the same examples, so that only a
# change can cause a failure; local runs draw new ones.
settings.register_profile("here", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("here")

# Tables are as wide as COLUMNS: a test must not depend on the terminal that it is started from.
os.environ.pop("COLUMNS", None)


def pytest_configure(config: pytest.Config) -> None:
    record.register(config)


@pytest.fixture(scope="session", autouse=True)
def _all_releases_were_tried() -> Iterator[None]:
    """Leave out the note of `check`, which moves with every record of a test run."""
    with patch("mirrorfleet.checks.tried.notes", return_value=()):
        yield
