"""Groups of people who use Claude Code through the gateways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fleet.section import Secret, Section
from fleet.spec.hosts import Host, chosen


@dataclass(frozen=True)
class Developers:
    """``seats`` are the login names of the group on each of its hosts."""

    name: str
    seats: Mapping[str, tuple[str, ...]]
    model: str
    version: str
    key: Secret

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(self.seats)


def developers(said: Section, hosts: Mapping[str, Host]) -> Developers:
    key = said.secret("key")
    assert key, "the schema requires it"
    return Developers(
        name=said.name,
        seats=_seats(said, hosts),
        model=said["model"],
        version=said["version"],
        key=key,
    )


def _seats(said: Section, hosts: Mapping[str, Host]) -> Mapping[str, tuple[str, ...]]:
    if "seats" in said:
        return {host: tuple(users) for host, users in said["seats"].items()}
    return dict.fromkeys(chosen(said, hosts), said.words("users"))
