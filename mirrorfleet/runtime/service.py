"""A service in generations: each complete in a directory of its own, `current` links to one.

    /opt/mirrorfleet/litellm/
        generations/3fa2c81b90de/    config.yaml  environment  mirrorfleet-litellm.service
        current -> generations/3fa2c81b90de
        served/3fa2c81b90de          it has proved itself, when it was last switched to
        environments/…               the software, one directory per lock file

A generation's name is the digest of all it holds. The process carries that name in its
environment, so what runs is known, whatever was written when.
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
"""How ``ready`` ends when waiting will not help; it has said why."""


@dataclass(frozen=True, kw_only=True)
class Installed:
    """What holds for every generation of a service: enough to look at it, to switch and to go back.

    Needs no secret, no lock file and nothing else that only a new generation needs.

    ``software`` is the directory that holds its Python environments or releases, ``None`` where the
    service comes from the distribution. ``hooks`` are shell functions. `ready` succeeds when the
    service serves on its ``$port``, which may take ``seconds``; it may return ``NEVER``, and what
    it last printed is shown. For the others, see scripts/hooks.sh. ``held`` may name a file: the
    service tells load balancers to stay away until the time of the file's last change.

    A service may do what one on another host wants of it: then that one's start ends and starts it,
    and ``follows`` is a file that holds the ``word`` of the generation that it has come to.
    """

    name: str
    user: str
    port: int
    software: str | None
    hooks: str
    seconds: int
    restart: Literal["restart", "reload-or-restart"] = "restart"
    held: str = ""
    follows: str = ""

    @property
    def directory(self) -> str:
        return f"{ROOT}/{self.name}"

    @property
    def generations(self) -> str:
        return f"{self.directory}/generations"

    @property
    def current(self) -> str:
        """The link to the generation that is started."""
        return f"{self.directory}/current"

    @property
    def record(self) -> str:
        """Where a file of a generation's name says that it has served."""
        return f"{self.directory}/served"

    @property
    def unit_name(self) -> str:
        return f"mirrorfleet-{self.name}.service"

    @property
    def unit_path(self) -> str:
        return f"/etc/systemd/system/{self.unit_name}"


@dataclass(frozen=True, kw_only=True)
class Service(Installed):
    """A service with the generation that is to run.

    ``environment`` holds the settings and secrets of the process and goes into a file for root's
    eyes only; ``files`` are readable by the service's group. ``check`` is a program with its words,
    run as ``user``, or as ``check_user``, in a new generation's directory, before it is accepted.
    No diff shows ``secret_files``. A service that is reloaded keeps its environment: ``stamp`` is a
    piece of configuration, stamp.cfg, by which it takes over its ``{generation}``.
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
        return f"{self.generations}/{self.generation}"

    def members(self, generation: str = "") -> list[Member]:
        """Return the files of the generation, or of one with the same content and this name."""
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
    """Return what must be asked of a host to know whether a service is as it should be."""
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
    """Yield what else listens on the service's port: started there, it would take another one."""
    yield from taken(service.port, service.unit_name, observed)


def taken(port: int, unit: str, observed: Observation) -> Iterator[Problem]:
    """Yield what else listens on a port of a unit."""
    for stranger in sorted(observed[Listening(port)] - {unit}):
        yield error(
            f"port {port} is in use by {stranger}, and {unit} needs it.",
            f"Stop {stranger}, or choose another port.",
        )
