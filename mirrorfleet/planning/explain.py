"""Every value of a plan, with the lines of the fleet file that it comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any

from mirrorfleet.config import EngineModel, Fleet, Secret, schema
from mirrorfleet.config.key_derivation import DerivedKey
from mirrorfleet.config.key_holders import allowed, opened
from mirrorfleet.config.problems import Key, Place
from mirrorfleet.engines.abilities import known_abilities
from mirrorfleet.engines.placement import models_of
from mirrorfleet.planning import FleetPlan, HostPlan
from mirrorfleet.planning.claude import ClientPlan, PolicyPlan
from mirrorfleet.planning.provenance import Provenance, literal
from mirrorfleet.planning.routes import Route
from mirrorfleet.planning.setting import Setting
from mirrorfleet.planning.settings import settings

Names = Mapping[str, str]
"""Values for ``{model}``, ``{user}``, ``{group}``, ``{host}``, and the engine for ``*``."""


@dataclass(frozen=True)
class Source:
    """A key of the fleet file.

    If the file does not have it, ``place`` is ``None``, and ``default`` is that of the schema or
    ``None``.
    """

    key: str
    place: Place | None
    value: Any
    default: Any = None


@dataclass(frozen=True)
class Value:
    """One value of a host's plan, at a path such as ``("gateway", "workers")``."""

    host: str
    path: tuple[str, ...]
    value: Any
    sources: tuple[Source, ...]
    reason: str


def values(plan: FleetPlan, host: HostPlan) -> Iterator[Value]:
    """Yield every value of a host's plan, in the order of the plan."""
    walker = _Walker(plan.fleet)
    leaves = walker.walk(host, (), Provenance(()), {"host": host.name})
    for path, value, provenance, names in leaves:
        keys = (
            key
            for template in provenance.keys
            for key in walker.expand(template.format_map(names), names)
        )
        sources = tuple(walker.source(key) for key in keys)
        yield Value(host.name, path, value, sources, provenance.reason)


_Leaf = tuple[tuple[str, ...], Any, Provenance, Names]


class _Walker:
    """Walk through a plan; settings that users of a group share are derived once."""

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
            for name, entry in value.items():
                # If the file has a mapping with the same keys, the line of the key is more exact.
                exact = tuple(f"{key}.{literal(str(name))}" for key in provenance.keys[:1])
                inner = Provenance(exact + provenance.keys, provenance.reason)
                yield from self.walk(entry, (*path, str(name)), inner, names)
        elif isinstance(value, tuple) and value and is_dataclass(value[0]):
            for name, item in zip(_labels(value), value, strict=True):
                yield from self.walk(item, (*path, name), provenance, names)
        elif value not in ((), {}):
            yield path, value, provenance, names

    def _fields(
        self, value: Any, path: tuple[str, ...], provenance: Provenance, names: Names
    ) -> Iterator[_Leaf]:
        own = {item.name: getattr(value, item.name) for item in fields(value)}
        named = {**own, "engine": getattr(value, "engine", None)}
        names = {**names, **{name: text for name, text in named.items() if isinstance(text, str)}}
        for item in fields(value):
            if isinstance(value, ClientPlan | PolicyPlan) and item.name == "settings":
                yield from self._settings(value, path, names)
            elif isinstance(value, Route) and item.name == "abilities":
                yield from self._abilities(value, path, names)
            else:
                inner = item.metadata.get("provenance", provenance)
                yield from self.walk(own[item.name], (*path, item.name), inner, names)

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

    def _abilities(self, route: Route, path: tuple[str, ...], names: Names) -> Iterator[_Leaf]:
        """Yield each ability of a route, with its source as the reason."""
        known = known_abilities(self.fleet.models[route.model])
        for name, value in asdict(route.abilities).items():
            key = f"models.{literal(route.model)}.{name}"
            family = f"models.{literal(route.model)}.family"
            _, source = getattr(known, name)
            provenance = Provenance((key, family), source)
            yield from self.walk(value, (*path, "abilities", name), provenance, names)

    def expand(self, dotted: str, names: Names) -> list[str]:
        """Return the key itself or, with ``*`` in it, one for each model that has the key."""
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
        value, form = self.fleet.document.data, schema.root()
        for part in key:
            form = schema.below(form, value, str(part)) if isinstance(value, dict) else {}
            value = value[part]
        if rest:
            known = schema.keys(form, value) if isinstance(value, dict) else {}
            return Source(dotted, None, None, known.get(rest, {}).get("default"))
        return Source(dotted, self.fleet.document.place(key), value)

    def _key(self, dotted: str) -> tuple[Key, str]:
        """Return the part of a dotted key that exists, and the rest. Names can contain dots."""
        data, rest = self.fleet.document.data, dotted
        key: Key = ()
        while rest and isinstance(data, dict):
            present = [name for name in data if rest == name or rest.startswith(f"{name}.")]
            if not present:
                break
            name = max(present, key=len)
            data, key, rest = data[name], (*key, name), rest[len(name) + 1 :]
        return key, rest


def _labels(items: tuple[Any, ...]) -> list[str]:
    """Return a name for each item of a list; items with the same name get a number.

    An item that has none is named by its class.
    """
    names = [
        next(
            (
                str(getattr(item, name))
                for name in ("user", "model", "name", "service")
                if hasattr(item, name)
            ),
            type(item).__name__.lower(),
        )
        for item in items
    ]
    counts, numbers = Counter(names), Counter[str]()
    labels = []
    for name in names:
        numbers[name] += 1
        labels.append(f"{name}#{numbers[name]}" if counts[name] > 1 else name)
    return labels


@dataclass
class ValueGroup:
    """A value at several paths or hosts of the plan, with the same provenance."""

    value: Value
    paths: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)


def group_values(found: Iterable[Value]) -> list[ValueGroup]:
    """Merge values that are the same for several users or hosts."""
    groups: dict[str, ValueGroup] = {}
    for value in found:
        key = repr((value.path[-1], value.value, value.sources, value.reason))
        group = groups.setdefault(key, ValueGroup(value))
        for name, known in ((".".join(value.path), group.paths), (value.host, group.hosts)):
            if name not in known[-1:] and name not in known:
                known.append(name)
    return list(groups.values())
