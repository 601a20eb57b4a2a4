"""The plan told value by value, each with the lines of the fleet file that it comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from mirrorfleet.config import EngineModel, Fleet, Secret
from mirrorfleet.config.key_derivation import DerivedKey
from mirrorfleet.config.key_holders import allowed, opened
from mirrorfleet.config.problems import Key, Place
from mirrorfleet.engines.placement import models_of
from mirrorfleet.planning import FleetPlan, HostPlan
from mirrorfleet.planning.claude import ClientPlan, PolicyPlan
from mirrorfleet.planning.provenance import Provenance, literal
from mirrorfleet.planning.setting import Setting
from mirrorfleet.planning.settings import settings

Names = Mapping[str, str]
"""What ``{model}``, ``{user}``, ``{group}``, ``{host}`` and the engine of ``*`` stand for."""


@dataclass(frozen=True)
class Source:
    """A key of the fleet file; ``place`` is ``None`` where the file leaves it to the default."""

    key: str
    place: Place | None
    value: Any


@dataclass(frozen=True)
class Value:
    """One value of a host's plan: ``("gateway", "workers")``."""

    host: str
    path: tuple[str, ...]
    value: Any
    sources: tuple[Source, ...]
    reason: str


def values(plan: FleetPlan, host: HostPlan) -> Iterator[Value]:
    """Yield every value of a host's plan, in the order of the plan."""
    told = _Telling(plan.fleet)
    for path, value, provenance, names in told.walk(host, (), Provenance(()), {"host": host.name}):
        keys = (each for key in provenance.keys for each in told.each(key.format_map(names), names))
        sources = tuple(told.source(key) for key in keys)
        yield Value(host.name, path, value, sources, provenance.reason)


_Leaf = tuple[tuple[str, ...], Any, Provenance, Names]


class _Telling:
    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.derived: dict[tuple[str, tuple[str, ...]], dict[tuple[str, ...], Setting]] = {}

    def walk(
        self, value: Any, path: tuple[str, ...], provenance: Provenance, names: Names
    ) -> Iterator[_Leaf]:
        if isinstance(value, Secret | DerivedKey):
            yield path, str(value), provenance, names
        elif is_dataclass(value):
            yield from self._fields(value, path, provenance, names)
        elif isinstance(value, Mapping) and value:
            for name, each in value.items():
                # Where the file has a mapping of the same names, the line of the name is nearer.
                nearer = tuple(f"{key}.{literal(str(name))}" for key in provenance.keys[:1])
                inner = Provenance(nearer + provenance.keys, provenance.reason)
                yield from self.walk(each, (*path, str(name)), inner, names)
        elif isinstance(value, tuple) and value and is_dataclass(value[0]):
            for name, each in zip(_labels(value), value, strict=True):
                yield from self.walk(each, (*path, name), provenance, names)
        elif value not in ((), {}):
            yield path, value, provenance, names

    def _fields(
        self, value: Any, path: tuple[str, ...], provenance: Provenance, names: Names
    ) -> Iterator[_Leaf]:
        own = {each.name: getattr(value, each.name) for each in fields(value)}
        named = {**own, "engine": getattr(value, "engine", None)}
        names = {**names, **{name: said for name, said in named.items() if isinstance(said, str)}}
        for each in fields(value):
            if isinstance(value, ClientPlan | PolicyPlan) and each.name == "settings":
                yield from self._settings(value, path, names)
            else:
                inner = each.metadata.get("provenance", provenance)
                yield from self.walk(own[each.name], (*path, each.name), inner, names)

    def _settings(
        self, plan: ClientPlan | PolicyPlan, path: tuple[str, ...], names: Names
    ) -> Iterator[_Leaf]:
        if not plan.settings:
            return
        group = self.fleet.developers[plan.group]
        if isinstance(plan, ClientPlan):
            models = allowed(self.fleet, group, plan.person)
        else:
            models = opened(self.fleet, group)
        derived = self.derived.get((group.name, models))
        if derived is None:
            derived = self.derived[group.name, models] = settings(self.fleet, group, models)
        for inner, setting in derived.items():
            yield (*path, "settings", *inner), setting.value, setting.provenance, names

    def each(self, dotted: str, names: Names) -> list[str]:
        """Return the key itself or, for the ``*`` in it, one for each model that has it."""
        if "*" not in dotted:
            return [dotted]
        keys = [
            dotted.replace("*", model.name)
            for model in models_of(self.fleet, EngineModel)
            if model.engine == names.get("engine") and names["host"] in model.hosts
        ]
        return [key for key in keys if not self._key(key)[1]] or [dotted]

    def source(self, dotted: str) -> Source:
        key, rest = self._key(dotted)
        if rest:
            return Source(dotted, None, None)
        value = self.fleet.document.data
        for part in key:
            value = value[part]
        return Source(dotted, self.fleet.document.place(key), value)

    def _key(self, dotted: str) -> tuple[Key, str]:
        """Find a dotted key, where names may hold dots themselves; return what is not there."""
        data, rest = self.fleet.document.data, dotted
        key: Key = ()
        while rest and isinstance(data, dict):
            there = [name for name in data if rest == name or rest.startswith(f"{name}.")]
            if not there:
                break
            name = max(there, key=len)
            data, key, rest = data[name], (*key, name), rest[len(name) + 1 :]
        return key, rest


def _labels(several: tuple[Any, ...]) -> list[str]:
    """Name the items of a list by what tells them apart; replicas get a number."""
    names = [
        next(
            str(getattr(each, name))
            for name in ("user", "model", "name", "service")
            if hasattr(each, name)
        )
        for each in several
    ]
    counts, seen = Counter(names), Counter[str]()
    labels = []
    for name in names:
        seen[name] += 1
        labels.append(f"{name}#{seen[name]}" if counts[name] > 1 else name)
    return labels


@dataclass
class ValueGroup:
    """A value that stands in several places of the plan, for the same reason."""

    value: Value
    paths: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)


def group_values(found: Iterable[Value]) -> list[ValueGroup]:
    """Put together what is the same for several users and hosts."""
    groups: dict[str, ValueGroup] = {}
    for each in found:
        same = repr((each.path[-1], each.value, each.sources, each.reason))
        group = groups.setdefault(same, ValueGroup(each))
        for word, known in ((".".join(each.path), group.paths), (each.host, group.hosts)):
            if word not in known[-1:] and word not in known:
                known.append(word)
    return list(groups.values())
