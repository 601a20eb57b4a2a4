"""Developers' keys: duplicate, expired, missing or unused ones, and models that they refuse."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from mirrorfleet.checks.secrets import identity
from mirrorfleet.config import Developers, Fleet, Secret
from mirrorfleet.config.client_ids import TIERS
from mirrorfleet.config.key_holders import allowed, holder, opens, places
from mirrorfleet.config.problems import Key, Problem

SHARED = frozenset(
    {"admin", "debian", "deploy", "dev", "developer", "ec2-user", "guest", "root", "ubuntu", "user"}
)
"""Logins that several people often share."""


def problems(fleet: Fleet, today: date) -> Iterator[Problem]:
    yield from _duplicates(fleet)
    yield from _dates(fleet, today)
    yield from _unused(fleet)
    yield from _names(fleet)
    yield from _shared_logins(fleet)
    for group in fleet.developers.values():
        yield from _missing(fleet, group)
        yield from _refused_models(fleet, group)
    yield from _conflicts(fleet)


def _people(fleet: Fleet) -> Iterator[tuple[Developers, str, str, str]]:
    """Yield group, host, login and person of each developer with a key of their own."""
    for group in fleet.developers.values():
        for host, login in places(group) if not group.key else ():
            yield group, host, login, holder(group, host, login)


def _duplicates(fleet: Fleet) -> Iterator[Problem]:
    """Yield a problem for each secret that is the key of two groups, people or services."""
    keys, gateway = fleet.keys, fleet.gateway
    secrets: list[tuple[Key, Secret | None, str]] = [
        (("gateway", "master_key"), gateway.master_key if gateway else None, "the master key"),
        (("gateway", "salt_key"), gateway.salt_key if gateway else None, "the salt key"),
        (("keys", "root"), keys.root, "the root of the keys"),
        *(
            (("keys", "people", name, "key"), person.key, f"the key of '{name}'")
            for name, person in keys.people.items()
        ),
        *(
            (("developers", group.name, "key"), group.key, f"the key of '{group.name}'")
            for group in fleet.developers.values()
        ),
    ]
    owners: dict[str, str] = {}
    for key, secret, owner in secrets:
        if secret is None:
            continue
        other = owners.setdefault(identity(secret), owner)
        if other != owner:
            yield fleet.document.problem(
                key, f"is {secret}, which is {other} too.", "Use a different secret."
            )


def _dates(fleet: Fleet, today: date) -> Iterator[Problem]:
    """Yield problems of invalid and past expiry dates. A date ends at midnight UTC."""
    own = fleet.keys.people
    dates: list[tuple[Key, str | None]] = [
        *((("keys", "people", name), person.expires) for name, person in own.items()),
        *((("developers", group.name), group.expires) for group in fleet.developers.values()),
    ]
    # A group's date applies to people without a date of their own.
    used: set[Key] = {("keys", "people", name) for name in own}
    used |= {("developers", group.name) for group in fleet.developers.values() if group.key}
    for group, _, _, name in _people(fleet):
        if name not in own or not own[name].expires:
            used.add(("developers", group.name))
    for key, day in dates:
        try:
            is_past = day is not None and date.fromisoformat(day) < today
        except ValueError:
            yield fleet.document.problem(
                (*key, "expires"), f"is {day}, which is not a date.", "Write a valid date."
            )
        else:
            if is_past and key in used:
                yield fleet.document.warning(
                    (*key, "expires"),
                    f"is {day}, a past date: the gateways reject the key.",
                    "Write a later date, or remove the people with this key.",
                )


def _unused(fleet: Fleet) -> Iterator[Problem]:
    """Yield a problem for each key of the fleet file that has no effect without a derived key."""
    document = fleet.document
    people = [name for *_, name in _people(fleet)]
    all_shared = all(group.key for group in fleet.developers.values())
    derived = [name for name in people if not (own := fleet.keys.people.get(name)) or not own.key]
    unused: list[Key] = [
        *(
            ("keys", "people", name, "rotation")
            for name, person in fleet.keys.people.items()
            if person.key
        ),
        *(
            ("developers", group.name, name)
            for group in fleet.developers.values()
            if group.key
            for name in ("rotation", "people")
        ),
        *(
            (("keys", name) for name in ("root", "rotation"))
            if fleet.developers and not derived and (people or all_shared)
            else ()
        ),
    ]
    groups: list[Key] = [("developers", name) for name in document.names("developers")]
    for key in unused:
        if key in document.places:
            yield document.problem(
                key,
                "has no effect, because no key is derived from it.",
                "Remove it, or remove 'key'.",
                given=(("developers",), *groups),
            )


def _names(fleet: Fleet) -> Iterator[Problem]:
    """Yield a problem for each person with the name of a group that shares a key."""
    for group, _, login, person in _people(fleet):
        other = fleet.developers.get(person)
        if other and other.key:
            yield fleet.document.problem(
                ("developers", group.name),
                f"gives '{login}' the name '{person}', which is the name of a group with a key.",
                f"Choose another name: people: {{{login}: FIRST.LAST}}.",
            )


def _shared_logins(fleet: Fleet) -> Iterator[Problem]:
    """Yield a warning if a common login on several hosts counts as one person."""
    hosts: dict[str, dict[str, str]] = {}
    for group, host, login, person in _people(fleet):
        if login in SHARED and person == login:
            hosts.setdefault(login, {})[host] = group.name
    for login, where in hosts.items():
        if len(where) > 1:
            first, second, *_ = where
            yield fleet.document.warning(
                ("developers", where[first]),
                f"has '{login}' on {first}, and {second} has one too: both count as one person "
                "with one key.",
                f"If they are different people, add people: {{{login}@{first}: ada, "
                f"{login}@{second}: grace}}.",
            )


def _missing(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    """Yield a problem if a person of the group has no key."""
    if group.key or fleet.keys.root or fleet.document.says("keys", "root"):
        return
    people = {holder(group, *place) for place in places(group)}
    own = {name for name, person in fleet.keys.people.items() if person.key}
    if keyless := sorted(people - own):
        if fleet.external_gateway:
            yield fleet.document.problem(
                ("developers", group.name),
                f"has no key for '{keyless[0]}'.",
                "Refer to a key that the gateway made: a 'key' that the group shares, or "
                f"keys: {{people: {{{keyless[0]}: {{key: {{file: secrets/{keyless[0]}}}}}}}}}.",
            )
            return
        yield fleet.document.problem(
            ("developers", group.name),
            f"has no key for '{keyless[0]}'.",
            "Add keys: {root: {env: MIRRORFLEET_KEY_ROOT}} to derive a key for each person, or add "
            "a 'key' that the group shares.",
            given=(("keys", "root"),),
        )


def _refused_models(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    """Yield a problem for each model that the group uses and its keys are not allowed to use."""
    key: Key = ("developers", group.name)
    for place, name in _used_models(group):
        model = fleet.find(name)
        if model and not opens(fleet, group, model):
            yield fleet.document.problem(
                (*key, *place),
                f"resolves to '{model.name}', which is not in 'models' of the group.",
                f"Add '{name}' to 'models', or choose another model.",
                given=tuple(("aliases", alias) for alias in group.models),
            )
    # Tiers that the group may not use resolve to its model; this does not work per person.
    tiers = [((), tier) for tier in TIERS]
    for person in dict.fromkeys(holder(group, *place) for place in places(group)):
        own = () if group.key or person not in fleet.keys.people else allowed(fleet, group, person)
        missing = set[str]()
        for _, name in [*_used_models(group), *tiers] if own else ():
            model = fleet.find(name)
            if not model or model.name in {*own, *missing}:
                continue
            if opens(fleet, group, model):
                missing.add(model.name)
                yield fleet.document.problem(
                    ("keys", "people", person, "models"),
                    f"does not have '{model.name}', which '{group.name}' uses as '{name}'.",
                    f"Add '{name}', or move '{person}' to another group.",
                    given=((*key, "models"),),
                )


def _used_models(group: Developers) -> Iterator[tuple[Key, str]]:
    """Yield the models that the settings of a group use, each with its key inside the group."""
    yield ("model",), group.model
    if group.subagent_model:
        yield ("subagent_model",), group.subagent_model
    for name in ("availableModels", "fallbackModel"):
        models = group.settings.get(name)
        for index, model in enumerate(models if isinstance(models, list) else ()):
            if isinstance(model, str):
                yield ("settings", name, index), model


def _conflicts(fleet: Fleet) -> Iterator[Problem]:
    """Yield a problem if groups with a common person have different values for their one key."""
    known: dict[str, Developers] = {}
    reported = set()
    for group, _, _, person in _people(fleet):
        first = known.setdefault(person, group)
        own = fleet.keys.people.get(person)
        for name in ("rotation", "expires", "models", "clients", "mcp_servers"):
            is_personal = name not in ("clients", "mcp_servers")
            if own and is_personal and (own.key if name == "rotation" else getattr(own, name)):
                continue
            if getattr(first, name) != getattr(group, name) and (group.name, name) not in reported:
                reported.add((group.name, name))
                other_fix = f", or set keys.people.{person}.{name}" if is_personal else ""
                yield fleet.document.problem(
                    ("developers", group.name, name),
                    f"differs from '{first.name}', but '{person}' is in both groups with one key.",
                    f"Write the same value in both groups{other_fix}.",
                )
