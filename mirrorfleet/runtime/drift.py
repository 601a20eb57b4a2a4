"""How a service on a host differs from what it should be: each thing by its name, for the report
and for the decision what to do, which so cannot contradict each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256

from mirrorfleet.runtime.facts import File, Link, Listening, Tree, Unit, UnitState
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.service import Installed, Service

Files = Mapping[str, str]
"""What stands in a directory, by name, as a `Tree` describes it; "" is the directory itself."""


def changes(service: Service, observed: Observation) -> Iterator[Change]:
    """Yield all that a run will change about a service."""
    files = list(_files(service, observed))
    yield from files
    yield from _state(service, observed, renewed=bool(files))
    if not is_started(service, observed):
        yield Change(f"{service.unit_name} will be restarted")
    elif not is_listening(service, observed):
        yield Change(f"{service.unit_name} does not listen on port {service.port} yet")
    elif not has_served(service, observed):
        yield Change(f"{service.unit_name} has not proved yet that it serves")


def is_placed(service: Service, observed: Observation) -> bool:
    """Is the generation on the host, with nothing in it changed by another hand?"""
    return _found(service, service.generation, observed) == _wanted(service, service.generation)


def is_started(service: Service, observed: Observation) -> bool:
    """Has the host started this generation, and will it after a reboot?"""
    return is_placed(service, observed) and not any(_state(service, observed, renewed=False))


def is_listening(service: Installed, observed: Observation) -> bool:
    """Does the service's own unit answer on its port? One that starts or dies does not."""
    return service.unit_name in observed[Listening(service.port)]


def has_served(service: Service, observed: Observation) -> bool:
    """Has the generation proved itself? On a host without such a record, what listens counts."""
    return "" not in observed[Tree(service.record)] or service.generation in served(
        service, observed
    )


def served(service: Installed, observed: Observation) -> set[str]:
    """Return the generations that have served and are still on the host."""
    record, there = observed[Tree(service.record)], observed[Tree(service.generations)]
    return {name for name in record if name and name in there}


def current(service: Installed, observed: Observation) -> str:
    """Return the generation that `current` leads to, in whichever way it says so; or ""."""
    return (observed[Link(service.current)] or "").rpartition("/")[2]


def is_another(service: Service, file: str, observed: Observation) -> bool:
    """Has the current generation such a file, and with another content than is wanted?"""
    found = _found(service, current(service, observed), observed)
    return _how(found.get(file), _wanted(service, "").get(file)) == "differs"


def _files(service: Service, observed: Observation) -> Iterator[Change]:
    """Yield the files of a generation that has to be sent, compared with what is there now."""
    if is_placed(service, observed):
        return
    name = service.generation
    if not _found(service, name, observed):
        # A new one: of the one before it, most files are the same.
        name = current(service, observed)
    directory = f"{service.generations}/{name}"
    found, wanted = _found(service, name, observed), _wanted(service, name)
    texts = {member.name: member.content.decode() for member in service.members(name)}
    for file in sorted(found.keys() | wanted.keys()):
        if how := _how(found.get(file), wanted.get(file)):
            yield Change(
                f"{service.name}: {file or 'the directory'} {how}",
                old=f"{directory}/{file}",
                new=None if file in service.secret_files else texts.get(file),
                values_hidden=file == "environment",
            )


def _state(service: Service, observed: Observation, *, renewed: bool) -> Iterator[Change]:
    """Yield what is wrong with the unit; not what follows of itself from a ``renewed`` one."""
    name, unit = service.unit_name, observed[Unit(service.unit_name)]
    if not renewed:
        yield from _stale(service, observed, unit)
    if unit.active != "active" and not (renewed and unit == UnitState()):
        yield Change(f"{name} is {unit.active}")
    if unit.enabled != "enabled" and not (renewed and unit == UnitState()):
        yield Change(f"{name} is not enabled")
    if unit.needs_reload:
        yield Change(f"{name} is not what systemd has read")
    if f"{service.unit_path}.d/" in unit.drop_ins:
        yield Change(f"{name} is overridden by {unit.drop_ins}")


def _stale(service: Service, observed: Observation, unit: UnitState) -> Iterator[Change]:
    """Yield what belongs to another generation than the one that is placed."""
    link = observed[Link(service.current)] or "nothing"
    if link != f"generations/{service.generation}":
        yield Change(f"{service.name}: `current` leads to {link}")
    content = sha256(service.unit.encode()).hexdigest()
    if how := _how(observed[File(service.unit_path)], f"644 root:root {content}"):
        yield Change(f"{service.unit_path} {how}", old=service.unit_path, new=service.unit)
    if unit.running != service.generation:
        yield Change(f"{service.unit_name} runs {unit.running or 'no generation of ours'}")


def _wanted(service: Service, generation: str) -> Files:
    members = {member.name: member.rights_and_digest for member in service.members(generation)}
    return {"": f"750 root:{service.user} directory", **members}


def _found(service: Installed, generation: str, observed: Observation) -> Files:
    """Return what stands in the directory of a generation."""
    there, inside = observed[Tree(service.generations)], f"{generation}/"
    found = {"": there[generation]} if generation and generation in there else {}
    return found | {
        path.removeprefix(inside): description
        for path, description in there.items()
        if path.startswith(inside)
    }


def _how(found: str | None, wanted: str | None) -> str:
    """Say how what is found differs from what is wanted; nothing where it does not."""
    if found == wanted:
        return ""
    if found is None or wanted is None:
        return "is missing" if found is None else "is not ours"
    (found_rights, found_digest), (rights, digest) = (
        (each.rpartition(" ")[0], each.rpartition(" ")[2]) for each in (found, wanted)
    )
    if found_digest == digest:
        return f"has mode and owner {found_rights}, not {rights}"
    return "differs"
