"""The tests of this directory need a running lab. `bin/test` boots one for them."""

import pytest

from tests.lab import keys


@pytest.fixture(scope="session", autouse=True)
def _lab() -> None:
    if not keys.KNOWN_HOSTS.exists():
        pytest.exit("these tests need a running lab: run bin/lab or bin/test", returncode=2)
