"""Keys that could not be told apart, that nobody could make, or that do not open what they must."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from mirrorfleet.checks.secrets import which
from mirrorfleet.config import Developers, Fleet, Secret
from mirrorfleet.config.key_holders import allowed, holder, opens, places
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.data import table

SHARED = frozenset(
    {"admin", "debian", "deploy", "dev", "developer", "ec2-user", "guest", "root", "ubuntu", "user"}
)
"""Logins that are seldom one person's."""


def problems(fleet: Fleet, today: date) -> Iterator[Problem]:
    yield from _same(fleet)
    yield from _dates(fleet, today)
    yield from _idle(fleet)
    yield from _names(fleet)
    yield from _strangers(fleet)
    for group in fleet.developers.values():
        yield from _missing(fleet, group)
        yield from _closed(fleet, group)
    yield from _differing(fleet)


def _people(fleet: Fleet) -> Iterator[tuple[Developers, str, str, str]]:
    """Yield each group whose people have keys of their own, with host, login and person."""
    for group in fleet.developers.values():
        for host, login in places(group) if not group.key else ():
            yield group, host, login, holder(group, host, login)


def _same(fleet: Fleet) -> Iterator[Problem]:
    """References by which a gateway could not tell a developer from another, or its master."""
    keys, gateway = fleet.keys, fleet.gateway
    said: list[tuple[Key, Secret | None, str]] = [
        (("gateway", "master_key"), gateway.master_key if gateway else None, "the master key"),
        (("gateway", "salt_key"), gateway.salt_key if gateway else None, "the salt key"),
        (("keys", "root"), keys.root, "the root of the keys"),
        *(
            (("keys", "people", name, "key"), each.key, f"the key of '{name}'")
            for name, each in keys.people.items()
        ),
        *(
            (("developers", each.name, "key"), each.key, f"the key of '{each.name}'")
            for each in fleet.developers.values()
        ),
    ]
    holders: dict[str, str] = {}
    for key, secret, whose in said:
        if secret is None:
            continue
        other = holders.setdefault(which(secret), whose)
        if other != whose:
            yield fleet.document.problem(
                key, f"is {secret}, which is {other} too.", "Each has a key of its own."
            )


def _dates(fleet: Fleet, today: date) -> Iterator[Problem]:
    """Last days that no calendar has, or that are over: they end at midnight UTC."""
    own = fleet.keys.people
    said: list[tuple[Key, str | None]] = [
        *((("keys", "people", name), each.expires) for name, each in own.items()),
        *((("developers", each.name), each.expires) for each in fleet.developers.values()),
    ]
    # A group's counts for those who have none of their own.
    counts: set[Key] = {("keys", "people", name) for name in own}
    counts |= {("developers", group.name) for group in fleet.developers.values() if group.key}
    for group, _, _, name in _people(fleet):
        if name not in own or not own[name].expires:
            counts.add(("developers", group.name))
    for key, day in said:
        try:
            over = day is not None and date.fromisoformat(day) < today
        except ValueError:
            yield fleet.document.problem(
                (*key, "expires"), f"is {day}, which no calendar has.", "Write a day that there is."
            )
        else:
            if over and key in counts:
                yield fleet.document.warning(
                    (*key, "expires"),
                    f"was {day}: since then the gateways refuse the key.",
                    "Write a later day; or take out who has left.",
                )


def _idle(fleet: Fleet) -> Iterator[Problem]:
    """What would change nothing, because the key that it is about is not derived."""
    document = fleet.document
    people = [name for *_, name in _people(fleet)]
    shared = all(each.key for each in fleet.developers.values())
    derived = [name for name in people if not (own := fleet.keys.people.get(name)) or not own.key]
    said: list[Key] = [
        *(
            ("keys", "people", name, "rotation")
            for name, each in fleet.keys.people.items()
            if each.key
        ),
        *(
            ("developers", each.name, name)
            for each in fleet.developers.values()
            if each.key
            for name in ("rotation", "people")
        ),
        *(
            (("keys", name) for name in ("root", "rotation"))
            if fleet.developers and not derived and (people or shared)
            else ()
        ),
    ]
    groups: list[Key] = [("developers", name) for name in document.names("developers")]
    for key in said:
        if key in document.places:
            yield document.problem(
                key,
                "changes nothing: no key is derived with it.",
                "Remove it, or the 'key'.",
                given=(("developers",), *groups),
            )


def _names(fleet: Fleet) -> Iterator[Problem]:
    """A person who is called like a group that shares a key."""
    for group, _, login, person in _people(fleet):
        other = fleet.developers.get(person)
        if other and other.key:
            yield fleet.document.problem(
                ("developers", group.name),
                f"has '{login}', whose key is called '{person}' like that of a group.",
                f"Say who it is: people: {{{login}: another.name}}.",
            )


def _strangers(fleet: Fleet) -> Iterator[Problem]:
    hosts: dict[str, dict[str, str]] = {}
    for group, host, login, person in _people(fleet):
        if login in SHARED and person == login:
            hosts.setdefault(login, {})[host] = group.name
    for login, where in hosts.items():
        if len(where) > 1:
            first, second, *_ = where
            yield fleet.document.warning(
                ("developers", where[first]),
                f"has '{login}' on '{first}', and there is one on '{second}': they count as one "
                "person, with one key.",
                f"Say who they are: people: {{{login}@{first}: ada, {login}@{second}: grace}}.",
            )


def _missing(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    if group.key or fleet.keys.root or fleet.document.says("keys", "root"):
        return
    people = {holder(group, *place) for place in places(group)}
    own = {name for name, each in fleet.keys.people.items() if each.key}
    if keyless := sorted(people - own):
        yield fleet.document.problem(
            ("developers", group.name),
            f"has no key for '{keyless[0]}'.",
            "Add keys: {root: {env: MIRRORFLEET_KEY_ROOT}}, from which one is derived for each "
            "person; or a 'key' that the group shares.",
            given=(("keys", "root"),),
        )


def _closed(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    """Models that the group's settings lead to, and its keys do not open."""
    key: Key = ("developers", group.name)
    for place, name in _asked(group):
        model = fleet.find(name)
        if model and not opens(fleet, group, model):
            yield fleet.document.problem(
                (*key, *place),
                f"leads to '{model.name}', which 'models' does not let the group's keys open.",
                f"Add '{name}' there, or name another one.",
                given=tuple(("aliases", each) for each in group.models),
            )
    # A tier that the group may not open leads to the group's model; for one person it cannot.
    tiers = [((), tier) for tier in table("claude_code")]
    for person in dict.fromkeys(holder(group, *place) for place in places(group)):
        own = () if group.key or person not in fleet.keys.people else allowed(fleet, group, person)
        lacking = set[str]()
        for _, name in [*_asked(group), *tiers] if own else ():
            model = fleet.find(name)
            if not model or model.name in {*own, *lacking}:
                continue
            if opens(fleet, group, model):
                lacking.add(model.name)
                yield fleet.document.problem(
                    ("keys", "people", person, "models"),
                    f"lacks '{model.name}', to which '{name}' leads in the settings of "
                    f"'{group.name}'.",
                    f"Add '{name}', or give '{person}' a group of its own.",
                    given=((*key, "models"),),
                )


def _asked(group: Developers) -> Iterator[tuple[Key, str]]:
    """Yield the models that a group's people are led to, each with its place in the group."""
    yield ("model",), group.model
    if group.subagent_model:
        yield ("subagent_model",), group.subagent_model
    for name in ("availableModels", "fallbackModel"):
        said = group.settings.get(name)
        for at, model in enumerate(said if isinstance(said, list) else ()):
            if isinstance(model, str):
                yield ("settings", name, at), model


def _differing(fleet: Fleet) -> Iterator[Problem]:
    """A person of several groups, who say different things of the one key."""
    known: dict[str, Developers] = {}
    told = set()
    for group, _, _, person in _people(fleet):
        first = known.setdefault(person, group)
        own = fleet.keys.people.get(person)
        for said in ("rotation", "expires", "models"):
            if own and (own.key if said == "rotation" else getattr(own, said)):
                continue
            if getattr(first, said) != getattr(group, said) and (group.name, said) not in told:
                told.add((group.name, said))
                yield fleet.document.problem(
                    ("developers", group.name, said),
                    f"is not what '{first.name}' says, and '{person}' is in both with one key.",
                    f"Say the same in both, or say it of '{person}' under keys.people.",
                )
