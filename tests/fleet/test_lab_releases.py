"""The releases of Debian that the lab's hosts get."""

import pytest

from tests.lab.hosts import BY_NAME
from tests.lab.releases import parse
from tests.lab.terminal import LabError


@pytest.mark.parametrize(
    ("option", "releases"),
    [
        ("13", {"gpu": "13", "gw-1": "13", "extra-3": "13"}),
        ("13,gpu=12", {"gpu": "12", "gw-1": "13", "extra-3": "13"}),
        ("gw-2=13,dev=13", {"gpu": "12", "gw-1": "12", "gw-2": "13", "dev": "13"}),
    ],
)
def test_hosts_get_the_release_of_the_option(option: str, releases: dict[str, str]) -> None:
    found = parse(option)
    assert {name: found.of(BY_NAME[name]) for name in releases} == releases


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("trixie", "--debian: unknown release 'trixie': use one of 12, 13"),
        ("gpu=11", "--debian: unknown release '11': use one of 12, 13"),
        ("13,", "--debian: unknown release '': use one of 12, 13"),
        (
            "gpux=13",
            "--debian: unknown host 'gpux': use one of gpu, gw-1, gw-2, dev, dev-2",
        ),
    ],
)
def test_an_unknown_release_or_host_is_refused(option: str, message: str) -> None:
    with pytest.raises(LabError) as error:
        parse(option)
    assert str(error.value) == message
