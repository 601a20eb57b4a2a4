"""For the transition only: questions as tuples, and the fields of an observation by kind."""

from __future__ import annotations

from typing import Any

from mirrorfleet.runtime.facts import Fact, UnitState

Question = Any
__all__ = ["Question", "UnitState", "attribute", "fact"]


def fact(question: Any) -> Fact[Any]:
    if isinstance(question, Fact):
        return question
    function, *arguments = question
    kinds = {kind.function: kind for kind in _kinds(Fact) if hasattr(kind, "function")}
    if function == "port":
        arguments = [int(arguments[0])]
    if function == "clock":
        arguments = []
    return kinds[function](*arguments)  # type: ignore[no-any-return]


def _kinds(kind: type[Any]) -> list[type[Any]]:
    return [each for sub in kind.__subclasses__() for each in (sub, *_kinds(sub))]


SETS = {"packages": "package", "paths": "path"}
MAPS = {
    "users": "user",
    "links": "link",
    "contents": "content",
    "units": "unit",
    "listeners": "port",
    "tables": "table",
    "routes": "route",
    "disks": "disk",
    "answers": "answer",
}


def attribute(observed: Any, name: str) -> Any:
    if name in ("system", "release", "architecture", "cores", "memory"):
        return getattr(observed.machine, name)
    of = [(f, f.function, v) for f, v in observed.values.items()]
    if name in SETS:
        return frozenset(f.key[1] for f, kind, v in of if kind == SETS[name] and v)
    if name in MAPS:
        found = {f: v for f, kind, v in of if kind == MAPS[name] and v is not None}
        return {getattr(f, "port", f.key[1]): v for f, v in found.items()}
    if name == "home_files":
        return {f.key[1:]: v for f, kind, v in of if kind == "home_file" and v is not None}
    if name == "services":
        return frozenset(n for f, kind, v in of if kind == "services" for n in v)
    if name == "files":
        found = {}
        for f, kind, v in of:
            if kind == "tree" and isinstance(v, str):
                found[f.key[1]] = v
            elif kind == "tree" and v is not None:
                found |= {f"{f.key[1]}/{n}" if n else f.key[1]: d for n, d in v.items()}
        return found
    if name == "names":
        return {f.key[1]: " ".join(v) for f, kind, v in of if kind == "name"}
    if name == "ahead":
        [now] = [v for f, kind, v in of if kind == "clock"] or [None]
        if now is None:
            return 0.0
        began, ended = observed.during
        return max(0.0, now - ended) + min(0.0, now + 1 - began)
    raise AttributeError(name)
