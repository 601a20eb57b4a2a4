"""What observe.sh prints of a host, by the plan of the host: bare, or just as the plan wants it."""

from __future__ import annotations

import base64
from hashlib import sha256

from fleet import HostPlan
from roles import claude, litellm, vllm
from roles.host.observe import Observation, parse
from roles.host.service import Service
from roles.vllm import weights

Answers = dict[tuple[str, ...], tuple[str, ...]]
"""The answer to each question, as the fields that follow the question's own on the line."""

MACHINE: Answers = {
    ("machine",): ("debian", "12", "x86_64", "4", "8388608"),
    ("python",): ("3.11.2",),
}


def lines(answers: Answers) -> list[str]:
    """Return the lines as the script prints them."""
    return [line for question, fields in answers.items() for line in _lines(question, fields)]


def _lines(question: tuple[str, ...], fields: tuple[str, ...]) -> list[str]:
    if question[0] != "file":
        return ["\t".join((*question, *fields))]
    # What find says of it, and what sha256sum does.
    said, digest = fields
    return ["\t".join((*question, said)), *([f"{digest}  {question[1]}"] if digest else [])]


def seen(answers: Answers) -> Observation:
    """Return the observation that such lines are understood as."""
    return parse(lines(answers))


def bare(plan: HostPlan) -> Answers:
    """A fresh machine: Debian 12 with its python3, the developers' logins, weights on a disk."""
    users = plan.clients.users if plan.clients else ()
    disks = {engine.weights.source for engine in plan.engines if engine.weights.kind == "path"}
    return {
        **MACHINE,
        **{("user", client.user): (f"/home/{client.user}",) for client in users},
        **{("path", path): () for path in disks},
    }


def converged(plan: HostPlan) -> Answers:
    """The same machine as a complete run leaves it."""
    found = bare(plan)
    for engine in plan.engines:
        found |= {("package", name): () for name in vllm.packages(plan)}
        found |= _path(vllm.environment(engine).complete)
        found |= _path(weights.location(engine.model, engine.weights))
    if plan.gateway:
        found |= {("package", name): () for name in litellm.PACKAGES}
        found |= _path(litellm.environment(plan.gateway).complete)
    for service in services(plan):
        found |= running(service)
    if plan.clients:
        found |= _path(claude.binary(plan)) | _path(claude.COMMAND)
        found |= {("link", claude.COMMAND): (claude.binary(plan),)}
        for client in plan.clients.users:
            for file in claude._files(client, seen(bare(plan))):
                content = base64.b64encode(file.content).decode()
                found["home_file", file.user, file.path] = (file.mode, content)
    return found


def services(plan: HostPlan) -> list[Service]:
    """Return the services that a host of this size is to run."""
    found = [vllm._service(engine) for engine in plan.engines]
    if plan.gateway:
        found.append(litellm._service(plan.gateway, seen(MACHINE)))
    return found


def running(service: Service) -> Answers:
    """The answers about a service that is as it should be."""
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
        ("file", service.unit_path): ("f 644 root:root", unit),
        ("unit", service.unit_name): ("active", "enabled", service.generation, "no", ""),
        ("port", str(service.port)): (service.unit_name,),
    }


def _path(path: str) -> Answers:
    return {("path", path): ()}
