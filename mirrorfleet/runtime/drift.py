"""How a service on a host differs from its desired state.

The report and the decision what to do use the same functions, so they cannot contradict each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256

from mirrorfleet.runtime.facts import File, Link, Listening, Tree, Unit, UnitState
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.service import Installed, Service

Files = Mapping[str, str]
"""The files in a directory by name, as a `Tree` describes them; "" is the directory itself."""


def changes(service: Service, observed: Observation) -> Iterator[Change]:
    """Yield everything that a run will change about a service."""
    files = list(_files(service, observed))
    yield from files
    yield from _state(service, observed, renewed=bool(files))
    if not is_started(service, observed):
        yield Change(f"{service.unit_name} will be restarted")
    elif not is_listening(service, observed):
        yield Change(f"{service.unit_name} is not listening on port {service.port} yet")
    elif not is_verified(service, observed):
        yield Change(f"{service.unit_name} is not verified yet")


def is_placed(service: Service, observed: Observation) -> bool:
    """Return whether the generation is on the host, and no other program has changed it."""
    return _found(service, service.generation, observed) == _desired(service, service.generation)


def is_started(service: Service, observed: Observation) -> bool:
    """Return whether the host runs this generation, and will start it after a reboot."""
    return is_placed(service, observed) and not any(_state(service, observed, renewed=False))


def is_listening(service: Installed, observed: Observation) -> bool:
    """Return whether the service's own unit listens on its port."""
    return service.unit_name in observed[Listening(service.port)]


def is_verified(service: Service, observed: Observation) -> bool:
    """Return whether the generation is verified. A host without records trusts what listens."""
    has_records = "" in observed[Tree(service.verified)]
    return not has_records or service.generation in verified_generations(service, observed)


def verified_generations(service: Installed, observed: Observation) -> set[str]:
    """Return the verified generations that are still on the host."""
    records, present = observed[Tree(service.verified)], observed[Tree(service.generations)]
    return {name for name in records if name and name in present}


def present_generations(service: Installed, observed: Observation) -> set[str]:
    """Return the generations that are on the host."""
    return {name for name in observed[Tree(service.generations)] if name and "/" not in name}


def current(service: Installed, observed: Observation) -> str:
    """Return the generation to which `current` links, by any form of the path, or ""."""
    return (observed[Link(service.current)] or "").rpartition("/")[2]


def file_differs(service: Service, file: str, observed: Observation) -> bool:
    """Return whether the current generation has the file, with other content than desired."""
    found = _found(service, current(service, observed), observed)
    return _difference(found.get(file), _desired(service, "").get(file)) == "differs"


def _files(service: Service, observed: Observation) -> Iterator[Change]:
    """Yield the files of a generation that is missing, compared with the current files."""
    if is_placed(service, observed):
        return
    name = service.generation
    is_new = not _found(service, name, observed)
    if is_new:
        name = current(service, observed)  # to compare with
    directory = f"{service.generations}/{name}"
    found, desired = _found(service, name, observed), _desired(service, name)
    texts = {member.name: member.content.decode() for member in service.members(name)}
    for file in sorted(found.keys() | desired.keys()):
        if how := _difference(found.get(file), desired.get(file)):
            yield Change(
                f"{service.name}: {file or 'the directory'} {how}",
                old=f"{directory}/{file}",
                new=None if file in service.secret_files else texts.get(file),
                values_hidden=file == "environment",
                by_hand=not is_new,
            )


def _state(service: Service, observed: Observation, *, renewed: bool) -> Iterator[Change]:
    """Yield what is wrong with the unit; with ``renewed``, not what a new generation implies."""
    name, unit = service.unit_name, observed[Unit(service.unit_name)]
    if not renewed:
        yield from _outdated(service, observed, unit)
    if unit.active != "active" and not (renewed and unit == UnitState()):
        yield Change(f"{name} is {unit.active}")
    if unit.enabled != "enabled" and not (renewed and unit == UnitState()):
        yield Change(f"{name} is not enabled")
    if unit.needs_reload:
        yield Change(f"{name} differs from what systemd has loaded")
    if f"{service.unit_path}.d/" in unit.drop_ins:
        yield Change(f"{name} is overridden by {unit.drop_ins}", by_hand=True)


def _outdated(service: Service, observed: Observation, unit: UnitState) -> Iterator[Change]:
    """Yield what belongs to another generation than the desired one."""
    link = observed[Link(service.current)] or "nothing"
    if link != f"generations/{service.generation}":
        yield Change(f"{service.name}: `current` links to {link}")
    content = sha256(service.unit.encode()).hexdigest()
    if how := _difference(observed[File(service.unit_path)], f"644 root:root {content}"):
        yield Change(f"{service.unit_path} {how}", old=service.unit_path, new=service.unit)
    if unit.running != service.generation:
        yield Change(f"{service.unit_name} runs {unit.running or 'no generation'}")


def _desired(service: Service, generation: str) -> Files:
    """Return the files that the directory of a generation should have."""
    members = {member.name: member.rights_and_digest for member in service.members(generation)}
    return {"": f"750 root:{service.user} directory", **members}


def _found(service: Installed, generation: str, observed: Observation) -> Files:
    """Return the files in the directory of a generation."""
    present, inside = observed[Tree(service.generations)], f"{generation}/"
    found = {"": present[generation]} if generation and generation in present else {}
    return found | {
        path.removeprefix(inside): description
        for path, description in present.items()
        if path.startswith(inside)
    }


def _difference(found: str | None, desired: str | None) -> str:
    """Return how a file differs from the desired one, as the end of a sentence, or ""."""
    if found == desired:
        return ""
    if found is None or desired is None:
        return "is missing" if found is None else "is not a file of Mirrorfleet"
    (found_rights, found_digest), (rights, digest) = (
        (text.rpartition(" ")[0], text.rpartition(" ")[2]) for text in (found, desired)
    )
    if found_digest == digest:
        return f"has mode and owner {found_rights}, not {rights}"
    return "differs"
