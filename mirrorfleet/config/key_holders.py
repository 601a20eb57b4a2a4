"""Who holds a key of the gateways, where, and which models it opens."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Developers, Fleet, Model


def places(group: Developers) -> Iterator[tuple[str, str]]:
    """Yield each host and login of a group; the host of a package has no name.

    No run reaches such a host: a former key of one who has it opens the gateways for the grace.
    """
    for host, logins in group.seats.items():
        yield from ((host, login) for login in logins)
    yield from (("", login) for login in group.packaged)


def holder(group: Developers, host: str, login: str) -> str:
    """Return the name under which the gateways know a login's key."""
    return group.name if group.key else group.person(host, login)


def allowed(fleet: Fleet, group: Developers, name: str) -> tuple[str, ...]:
    """Return the models that a key opens, each by its own name; none where it opens all."""
    own = fleet.keys.people.get(name)
    said = (own.models if own and not group.key else ()) or group.models
    return tuple(dict.fromkeys(model.name for each in said if (model := fleet.find(each))))


def opened(fleet: Fleet, group: Developers) -> tuple[str, ...]:
    """Return the models that the group lets its people's keys open; none where it opens all."""
    return tuple(dict.fromkeys(found.name for each in group.models if (found := fleet.find(each))))


def opens(fleet: Fleet, group: Developers, model: Model) -> bool:
    """Does the group let its people's keys open a model?"""
    return not group.models or model.name in opened(fleet, group)
