"""The tests below look at a lab that is up. `bin/test` boots one for them."""

import pytest

from tests.lab import keys


@pytest.fixture(scope="session", autouse=True)
def _lab() -> None:
    if not keys.KNOWN_HOSTS.exists():
        pytest.exit("these tests need a lab: boot one with bin/lab, or run bin/test", returncode=2)
