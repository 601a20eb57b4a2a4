"""Output of the shell functions of facts, for a bare host and for a converged one."""

from __future__ import annotations

import base64
import json
import re
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any, cast

from mirrorfleet.jobs.rings import record
from mirrorfleet.jobs.rings.state import identity
from mirrorfleet.planning import HostPlan, LitellmPlan, MigrationsPlan
from mirrorfleet.planning.ollama import OllamaPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles import registry
from mirrorfleet.roles.claude import home_files, machine_files
from mirrorfleet.roles.claude.client import binary
from mirrorfleet.roles.firewall import render as rules
from mirrorfleet.roles.firewall import role as firewall
from mirrorfleet.roles.litellm import container, keys
from mirrorfleet.roles.litellm import software as litellm_software
from mirrorfleet.roles.litellm.paths import KEYS, USER
from mirrorfleet.roles.migrations import render, wheel
from mirrorfleet.roles.migrations import role as migrations
from mirrorfleet.roles.ollama import models, release
from mirrorfleet.roles.ollama import render as ollama_render
from mirrorfleet.roles.ports import role as ports
from mirrorfleet.roles.postgres import role as postgres
from mirrorfleet.roles.postgres.render import BACKUP, MADE, TIMER
from mirrorfleet.roles.system import role as system
from mirrorfleet.roles.vllm import devices, software, weights
from mirrorfleet.runtime.facts import Fact
from mirrorfleet.runtime.observe import Observation, by_key, split
from mirrorfleet.runtime.reserved import UNIT
from mirrorfleet.runtime.rollout import has_services
from mirrorfleet.runtime.service import Service
from mirrorfleet.runtime.tables import fingerprint
from tests.roles.fleets import SECRETS

Answers = dict[tuple[str, ...], tuple[str, ...]]
"""Output of a host: the first words of each line, and the fields that follow them.

``("file", path)`` stands for the lines of find and sha256sum: type, mode and owner; digest.
"""

MACHINE: Answers = {
    ("machine",): ("debian", "12", "x86_64", "4", "8388608"),
    ("python", "python3"): ("3.11.2",),
}


def lines(answers: Answers) -> list[str]:
    """Return the lines as the script prints them."""
    return [line for question, fields in answers.items() for line in _lines(question, fields)]


def _lines(question: tuple[str, ...], fields: tuple[str, ...]) -> list[str]:
    if question[0] != "file":
        return ["\t".join((*question, *fields))]
    path, (rights, digest) = question[1], fields
    root, name = tree.groups() if (tree := TREES.fullmatch(path)) else (path, None)
    found = "\t".join(("tree", root, name or "", rights))
    return [found, *([f"{digest}  {path}"] if digest else [])]


TREES = re.compile(r"(/opt/mirrorfleet/[^/]+/(?:generations|served|keys))(?:/(.+))?")
"""Directories that a fact reads with all their files."""


def observation_of(answers: Answers) -> Observation:
    """Return the observation of a host that prints exactly these lines."""
    machine, rows = split(lines(answers))
    return Observation(machine, _Printed(rows), assumed=True)


def with_values(observed: Observation, values: Mapping[Any, Any], **machine: Any) -> Observation:
    """Return the same host with other values of these facts."""
    both = ChainMap({**values}, cast(dict[Fact[Any], Any], observed.values))
    return replace(observed, values=both, machine=replace(observed.machine, **machine))


class _Printed(dict[Fact[Any], Any]):
    """Reads the value of each fact when it is first needed."""

    def __init__(self, rows: list[list[str]]) -> None:
        super().__init__()
        self._rows = rows

    def __missing__(self, fact: Fact[Any]) -> Any:
        lines = by_key(self._rows, [type(fact)]).get(fact.key, ())
        self[fact] = value = fact.value(lines)
        return value


def bare(plan: HostPlan) -> Answers:
    """Return the answers of a fresh host: Debian 12, python3, GPUs, developers' logins, weights."""
    users = plan.clients.users if plan.clients else ()
    disks = {
        engine.weights.source
        for engine in plan.engines_of(VllmPlan)
        if engine.weights.kind == "path"
    }
    devices = [at for engine in plan.engines_of(VllmPlan) for at in engine.devices]
    devices += [at for server in plan.engines_of(OllamaPlan) for at in server.devices]
    gpus = [at for at in devices if isinstance(at, int)]
    return {
        **MACHINE,
        **{("path", path): () for path in (system.SYSTEMD, system.APT)},
        **{
            ("gpus", "nvidia-smi", "gpu", str(at)): ("81559", "580.95.05", "9.0", uuid(at))
            for at in range(max(gpus, default=-1) + 1)
        },
        **{("user", client.user): (f"/home/{client.user}",) for client in users},
        **{("shared", path, ""): () for path in disks},
    }


def uuid(gpu: int) -> str:
    """Return the UUID of a GPU."""
    return f"GPU-00000000-0000-0000-0000-{gpu:012}"


def converged(plan: HostPlan) -> Answers:
    """Return the answers of the same host after a complete run."""
    found = bare(plan)
    for role in registry.service_roles():
        if role.instances(plan):
            packages = role.packages(plan, observation_of(MACHINE | _path(container.DOCKER)))
            found |= {("package", name): () for name in packages}
    for engine in plan.engines_of(VllmPlan):
        found |= _environment(software.environment(engine).directory)
        found |= {(*weights.fact(engine).key, ""): ()}
    if any(engine.build == "cuda" for engine in plan.engines_of(VllmPlan)):
        found |= {("unit", devices.UNIT): ("active", "enabled", "", "no", "")}
        for unit in devices.units(plan):
            digest = sha256(unit.content or b"").hexdigest()
            found["file", unit.path] = (f"f {unit.mode} root:root", digest)
    for server in plan.engines_of(OllamaPlan):
        found |= _path(release.binary(server, release.chosen(server, observation_of(MACHINE))))
        found |= _path(server.models_directory) | _path(ollama_render.ELSEWHERE)
        found |= ollama_models(server)
    if plan.postgres:
        found |= scheduled_backups(plan) | _path(MADE)
    if plan.migrations:
        found |= migrated(plan.migrations)
    if plan.gateway:
        if plan.gateway.image:
            found |= _path(container.DOCKER)
            found |= {("image", plan.gateway.image.reference): ()}
        else:
            found |= _environment(litellm_software.environment(plan.gateway).directory)
        found |= gateway_keys(plan.gateway)
    for service in services(plan):
        found |= running(service)
    if plan.firewall and plan.firewall.rules:
        found |= loaded_firewall(plan)
    if has_services(plan):
        found |= reserved_ports()
    if plan.clients:
        for version in plan.clients.versions:
            found |= _path(binary(version))
        for command, target in machine_files.links(plan.clients).items():
            found |= _path(command) | {("link", command): (target,)}
        for shared in machine_files.files(plan.clients):
            if shared.content is not None:
                digest = sha256(shared.content).hexdigest()
                found["file", shared.path] = (f"f {shared.mode} root:root", digest)
        for file in home_files.desired(plan, observation_of(bare(plan))):
            if file.content is not None:
                content = base64.b64encode(file.content).decode()
                found["home_file", file.user, file.path] = (file.mode, content)
    if plan.rollout:
        found |= proved_ring(plan)
    return found


def proved_ring(plan: HostPlan) -> Answers:
    """Return the answer about the record of a ring that proved this plan."""
    state = identity(plan, observation_of(bare(plan)))
    generations = {f"{each.name} on {plan.name}": each.generation for each in services(plan)}
    proof = record.Proof(asked="ada on dev-1", seconds={"coder": 2.0}, generations=generations)
    text = record.Record("canary", state, proof).text()
    return {record.FACT.key: _text(text.encode())}


def services(plan: HostPlan) -> list[Service]:
    """Return the services that the plan puts on a host of the default size."""
    return registry.rendered(plan, observation_of(bare(plan)))


def ollama_models(plan: OllamaPlan) -> Answers:
    """Return the answers about converged models: the ledger, and the models of the server."""
    digests = {model["name"]: f"digest of {model['recipe']}" for model in models.desired(plan)}
    ledger = {
        model["name"]: {
            "recipe": model["recipe"],
            "digest": digests[model["name"]],
            "context": model["context"],
        }
        for model in models.desired(plan)
    }
    existing = [{"name": f"{name}:latest", "digest": digest} for name, digest in digests.items()]
    text, answer, *_ = models.facts(plan)
    return {text.key: _content(ledger), answer.key: _content({"models": existing})}


def loaded_firewall(plan: HostPlan) -> Answers:
    """Return the answers about a firewall in its desired state."""
    text = rules.rules_file(firewall.desired_rules(plan))
    units = {path: sha256(text.encode()).hexdigest() for path, text in firewall.units().items()}
    return {
        **{("package", name): () for name in firewall.PACKAGES},
        **{("file", path): ("f 644 root:root", digest) for path, digest in units.items()},
        ("content", rules.RULES): _text(text.encode()),
        ("content", firewall.LOADED): _text(firewall.load_record(text, "digest of the table")),
        ("table", rules.TABLE): ("digest of the table",),
        ("unit", firewall.UNIT): ("active", "enabled", "", "no", ""),
    }


def reserved_ports() -> Answers:
    """Return the answers about reserved ports."""
    return {
        **{
            ("file", path): ("f 644 root:root", sha256(text.encode()).hexdigest())
            for path, text in ports.installed().items()
        },
        ("unit", UNIT): ("active", "enabled", "", "no", ""),
        ("content", ports.STATE): _text(b"reserved 4000\n"),
    }


def scheduled_backups(plan: HostPlan) -> Answers:
    """Return the answers about a Postgres with scheduled backups."""
    return {
        ("unit", TIMER): ("active", "enabled", "", "no", ""),
        ("unit", BACKUP): ("inactive", "static", "", "no", ""),
        **{
            ("file", file.path): ("f 644 root:root", sha256(file.content or b"").hexdigest())
            for file in postgres.units(plan)
        },
    }


def migrated(plan: MigrationsPlan, salt_key: str = SECRETS["LITELLM_SALT_KEY"]) -> Answers:
    """Return the answers about a database with the plan's tables, for a salt key."""
    comment = f"mirrorfleet: {wheel.release(plan)}, salt key {fingerprint(salt_key)}"
    return {
        ("package", migrations.PACKAGE): (),
        ("database", render.SETTINGS): (f"{plan.max_connections} {comment}",),
    }


def _content(value: object) -> tuple[str]:
    return _text(json.dumps(value).encode())


def _text(content: bytes) -> tuple[str]:
    return (base64.b64encode(content).decode(),)


def running(service: Service) -> Answers:
    """Return the answers about a service in its desired state."""
    unit = sha256(service.unit.encode()).hexdigest()
    return {
        ("user", service.user): ("/nonexistent",),
        ("file", service.generation_path): (f"d 750 root:{service.user}", ""),
        **{
            ("file", f"{service.generation_path}/{member.name}"): (
                f"f {member.mode} {member.owner}:{member.group}",
                sha256(member.content).hexdigest(),
            )
            for member in service.members()
        },
        ("link", f"{service.directory}/current"): (f"generations/{service.generation}",),
        **verified_generation(service.name, service.generation),
        ("file", service.unit_path): ("f 644 root:root", unit),
        ("unit", service.unit_name): ("active", "enabled", service.generation, "no", ""),
        ("port", str(service.port)): (service.unit_name,),
    }


def verified_generation(name: str, generation: str) -> Answers:
    """Return the answers about a verified generation of a service."""
    record = f"/opt/mirrorfleet/{name}/served"
    return {
        ("file", record): ("d 755 root:root", ""),
        ("file", f"{record}/{generation}"): ("f 644 root:root", sha256().hexdigest()),
    }


def gateway_keys(gateway: LitellmPlan, *former: dict[str, str]) -> Answers:
    """Return the answers about the desired keys of a gateway, with these former keys."""
    digest = sha256(keys.desired(gateway).encode()).hexdigest()
    owner = f"root:{USER}"
    return {
        ("file", KEYS): (f"d 750 {owner}", ""),
        ("file", keys.DESIRED): (f"f 640 {owner}", digest),
        ("file", keys.FORMER): (f"f 640 {owner}", "0" * 64),
        ("content", keys.FORMER): _content({"keys": former}),
    }


def _environment(directory: str) -> Answers:
    return {("environment", directory, directory): ("",)}


def _path(path: str) -> Answers:
    return {("path", path): ()}
