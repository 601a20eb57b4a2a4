"""A service in generations. Each has a directory with all its files; `current` links to one.

    /opt/mirrorfleet/litellm/
        generations/3fa2c81b90de/    config.yaml  environment  mirrorfleet-litellm.service
        current -> generations/3fa2c81b90de
        served/3fa2c81b90de          verified; its time is that of the last check
        environments/…               the software, one directory per lock file

A generation's name is the digest of its files. The process has the name in its environment, so the
running generation is known, whatever happened to the files since.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from mirrorfleet.config.problems import Problem
from mirrorfleet.runtime.facts import Fact, File, Link, Listening, Tree, Unit, User
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.payload import Member
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.text import environment_file

NEVER = 78
"""The exit code of ``ready`` when waiting will not help; it has printed the reason."""


@dataclass(frozen=True, kw_only=True)
class Installed:
    """What all generations of a service share: enough to show its status, switch and roll back.

    It needs no secret, no lock file and nothing else that only a new generation needs.

    ``software`` is the directory of its Python environments or releases, ``None`` if the service
    comes from the distribution. ``hooks`` are shell functions, which scripts/hooks.sh describes.
    The hook `ready` succeeds when the service is ready on ``$port``, within ``seconds``; it may
    return ``NEVER``. A failed switch shows its last output. ``draining`` may be the path of a file:
    until its modification time, the service reports to load balancers that it is not ready.

    A follower is a service that a leader on another host controls: a start of the leader restarts
    it. ``follows`` is the path of a file with the generation token that the leader requested.
    """

    name: str
    user: str
    port: int
    software: str | None
    hooks: str
    seconds: int
    restart: Literal["restart", "reload-or-restart"] = "restart"
    draining: str = ""
    follows: str = ""

    @property
    def directory(self) -> str:
        """The directory of the service's software and generations."""
        return f"{ROOT}/{self.name}"

    @property
    def generations(self) -> str:
        """The directory of the generations."""
        return f"{self.directory}/generations"

    @property
    def current(self) -> str:
        """The link to the current generation."""
        return f"{self.directory}/current"

    @property
    def verified(self) -> str:
        """The directory with an empty file for each verified generation."""
        return f"{self.directory}/served"

    @property
    def unit_name(self) -> str:
        """The name of the systemd unit."""
        return f"mirrorfleet-{self.name}.service"

    @property
    def unit_path(self) -> str:
        """The path of the systemd unit."""
        return f"/etc/systemd/system/{self.unit_name}"


@dataclass(frozen=True, kw_only=True)
class Service(Installed):
    """A service with its desired generation.

    ``environment`` has the settings and secrets of the process, in a file that only root can read.
    The service's group can read ``files``. ``check`` is a command that must succeed in a new
    generation's directory; ``user`` or ``check_user`` runs it. No diff shows ``secret_files``. A
    reload does not change the environment of a process: then ``stamp`` is a piece of configuration,
    stamp.cfg, that sets the ``{generation}``.
    """

    unit: str
    environment: dict[str, str]
    files: Mapping[str, str]
    check: tuple[str, ...] = ("true",)
    check_user: str = ""
    secret_files: frozenset[str] = frozenset()
    stamp: str = ""

    @property
    def generation(self) -> str:
        """The digest that names the generation: twelve hexadecimal digits."""
        digest = sha256()
        for part in (
            self.unit,
            self.stamp,
            self._environment(),
            *sorted(self.files),
            *self._contents(),
        ):
            digest.update(f"{len(part)}:{part}".encode())
        return digest.hexdigest()[:12]

    @property
    def generation_path(self) -> str:
        """The directory of the generation."""
        return f"{self.generations}/{self.generation}"

    def members(self, generation: str = "") -> list[Member]:
        """Return the files of the generation, or of one with another name and the same content."""
        environment = (
            f"{self._environment()}MIRRORFLEET_GENERATION={generation or self.generation}\n"
            f"MIRRORFLEET_PORT={self.port}\n"
        )
        return [
            Member("environment", environment.encode(), "600"),
            Member(self.unit_name, self.unit.encode()),
            *([self._stamp(generation or self.generation)] if self.stamp else []),
            *(
                Member(name, content.encode(), "640", group=self.user)
                for name, content in self.files.items()
            ),
        ]

    def _stamp(self, generation: str) -> Member:
        content = self.stamp.format(generation=generation).encode()
        return Member("stamp.cfg", content, "640", group=self.user)

    def _environment(self) -> str:
        return environment_file(self.environment)

    def _contents(self) -> list[str]:
        return [self.files[name] for name in sorted(self.files)]


def facts(name: str, user: str, port: int) -> list[Fact[Any]]:
    """Return the facts that show whether a service is in its desired state."""
    unit = f"mirrorfleet-{name}.service"
    return [
        User(user),
        Tree(f"{ROOT}/{name}/generations"),
        Tree(f"{ROOT}/{name}/served"),
        File(f"/etc/systemd/system/{unit}"),
        Link(f"{ROOT}/{name}/current"),
        Unit(unit),
        Listening(port),
    ]


def port_problems(service: Installed, observed: Observation) -> Iterator[Problem]:
    """Yield other processes that listen on the service's port."""
    yield from other_listeners(service.port, service.unit_name, observed)


def other_listeners(port: int, unit: str, observed: Observation) -> Iterator[Problem]:
    """Yield processes that listen on a port of a unit and do not belong to the unit."""
    for process in sorted(observed[Listening(port)] - {unit}):
        yield error(
            f"port {port} is in use by {process}, but {unit} needs it.",
            f"Stop {process}, or choose another port.",
        )
