"""The holders of gateway keys, their hosts, and the models that a key may use."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Developers, Fleet, Model


def places(group: Developers) -> Iterator[tuple[str, str]]:
    """Yield each host and login of a group; the host of a package is "".

    No run reaches the host of a package, so its former key stays valid for the grace period.
    """
    for host, logins in group.users_by_host.items():
        yield from ((host, login) for login in logins)
    yield from (("", login) for login in group.packaged)


def holder(group: Developers, host: str, login: str) -> str:
    """Return the name of a login's key at the gateways."""
    return group.name if group.key else group.person(host, login)


def allowed(fleet: Fleet, group: Developers, name: str) -> tuple[str, ...]:
    """Return the names of the models that a key may use; empty stands for all."""
    own = fleet.keys.people.get(name)
    names = (own.models if own and not group.key else ()) or group.models
    return tuple(dict.fromkeys(model.name for each in names if (model := fleet.find(each))))


def opened(fleet: Fleet, group: Developers) -> tuple[str, ...]:
    """Return the names of the models that the group's keys may use; empty stands for all."""
    return tuple(dict.fromkeys(found.name for each in group.models if (found := fleet.find(each))))


def opens(fleet: Fleet, group: Developers, model: Model) -> bool:
    """Return whether the group's keys may use a model."""
    return not group.models or model.name in opened(fleet, group)
