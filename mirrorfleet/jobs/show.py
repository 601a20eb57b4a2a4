"""The files that each host of a fleet will get: mirrorfleet show FILE

No host is asked and no secret looked up: a reference stands where its value will be, and what only
the live host knows is said to be its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from hashlib import sha256

from pyinfra.api.exceptions import DeployError

from mirrorfleet import fleet
from mirrorfleet.config.problems import FleetError, did_you_mean
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles import claude, firewall, front, litellm, ollama, postgres, redis, vllm
from mirrorfleet.roles.claude import machine
from mirrorfleet.roles.firewall.render import RULES, rules
from mirrorfleet.roles.litellm import keys
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.secrets import references_only
from mirrorfleet.runtime.service import Service

UNSEEN = Observation(architecture="x86_64")


def main(arguments: list[str]) -> int:
    """Print the files of a fleet's hosts, or of the one that is named second."""
    path, *names = arguments
    try:
        planned = fleet.plan(fleet.load(path))
    except FleetError as error:
        print(error, file=sys.stderr)
        return 1
    for name in names:
        if name not in planned.hosts:
            known = did_you_mean(name, planned.hosts)
            print(f"There is no host '{name}'. {known}".rstrip(), file=sys.stderr)
            return 1
    try:
        for name in names or planned.hosts:
            for place, content in files(planned.hosts[name]):
                print(f"==> {name}: {place} <==\n{content}")
    except BrokenPipeError:
        raise  # the reader has seen enough
    except (DeployError, OSError) as error:
        print(f"{name} {error}", file=sys.stderr)
        return 1
    return 0


def files(plan: HostPlan) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of every file that a host will get.

    Programs of ours are left out: they stand below roles/ as they are.
    """
    with references_only() as asked:
        for path, content in _files(plan):
            # Of a developer's key, gateways get the digest: say of which.
            for secret in asked:
                digest = sha256(secret.encode()).hexdigest()
                content = content.replace(digest, f"sha256 of {secret}")
            yield path, content


def services(plan: HostPlan, seen: Observation) -> list[Service]:
    """Return the services that a host is to run. Raises ``DeployError`` for a missing secret."""
    return [make() for make in makers(plan, seen)]


def makers(plan: HostPlan, seen: Observation) -> Iterator[Callable[[], Service]]:
    """Yield what makes each of the services: without its secret, only that one is not known."""
    for engine in plan.engines:
        yield partial(vllm.service_of, engine, seen)
    if plan.ollama:
        yield partial(ollama.service_of, plan.ollama, seen)
    if plan.redis:
        yield partial(redis.service_of, plan.redis)
    if plan.postgres:
        yield partial(postgres.service_of, plan.postgres, seen)
    if plan.gateway:
        yield partial(litellm.service_of, plan.gateway, seen)
    if plan.load_balancer:
        yield partial(front.service_of, plan.load_balancer, seen)


def doors(plan: HostPlan) -> Iterator[tuple[str, str]]:
    """Yield the rules of a host's firewall, if it is to have one."""
    if plan.firewall and plan.firewall.rules:
        try:
            yield RULES, rules(firewall.wanted(plan))
        except DeployError as error:  # a name that another network knows
            yield RULES, f"# {plan.name} {error}\n"


def _files(plan: HostPlan) -> Iterator[tuple[str, str]]:
    yield from doors(plan)
    for service in services(plan, UNSEEN):
        for member in service.members():
            if not member.name.endswith(".py"):
                yield f"{service.directory}/current/{member.name}", member.content.decode()
    if plan.gateway:
        yield keys.WANTED, keys.wanted(plan.gateway)
    logins = {each.user: "" for each in plan.clients.users} if plan.clients else {}
    for file in claude.wanted(plan, replace(UNSEEN, users=logins)):
        if file.content is not None:
            yield f"~{file.user}/{file.path}", file.content.decode()
    devices = [each for each in vllm.devices.units(plan) if each.path == vllm.devices.UNIT_PATH]
    for shared in (*devices, *postgres.units(plan), *machine.files(plan.clients)):
        if shared.content is not None:
            yield shared.path, shared.content.decode(errors="replace")
    if plan.gateway and plan.gateway.workers == "auto":
        yield "note", "Of workers, the host's cores and memory decide; two are shown.\n"
