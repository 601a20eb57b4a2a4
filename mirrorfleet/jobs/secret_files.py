"""The secrets of a fleet on this machine: which there are, what made them, and missing ones made.

Only secrets without an issuer are made: random ones, in files, each readable by its owner. A
file that exists is never written.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mirrorfleet.config import EngineModel, Fleet, Secret
from mirrorfleet.config.problems import Key, dotted
from mirrorfleet.jobs.secrets import references
from mirrorfleet.runtime.secrets import exposure

State = Literal["present", "made", "missing", "open to others", "set", "not set", "a command"]


@dataclass(frozen=True)
class Kind:
    """What a secret is. ``make`` returns a new one; ``None`` if somebody else issues it.

    ``replacing`` is what another value brings about, or for issued ones who has them.
    """

    make: Callable[[], str] | None
    replacing: str


@dataclass(frozen=True)
class Found:
    """A secret of the fleet file: its first key there, its reference, kind and state."""

    key: Key
    secret: Secret
    kind: Kind
    state: State

    @property
    def is_missing(self) -> bool:
        return self.state in ("missing", "not set", "open to others")

    def __str__(self) -> str:
        return f"{self.secret}: {self.state}\n    {dotted(self.key)}: {self.kind.replacing}"


def found(fleet: Fleet, *, create: bool = False) -> Iterator[Found]:
    """Yield every secret that a fleet file refers to, once, in file order.

    With ``create``, missing files are made first. Raises ``OSError`` if that fails.
    """
    seen = set[Secret]()
    for key, secret in references(fleet):
        if secret in seen:
            continue
        seen.add(secret)
        made = _kind(fleet, key)
        state = _state(secret)
        if create and made.make and state == "missing":
            _write(path_of(secret), made.make())
            state = "made"
        yield Found(key, secret, made, state)


def path_of(secret: Secret) -> Path:
    """Return the file of a reference to a file."""
    return secret.directory / Path(secret.value).expanduser()


def _state(secret: Secret) -> State:
    match secret.source:
        case "env":
            return "set" if os.environ.get(secret.value) else "not set"
        case "command":
            return "a command"
        case "file":
            path = path_of(secret)
            if not path.exists():
                return "missing"
            return "open to others" if exposure(path) else "present"


def _administrator() -> str:
    return f"sk-{secrets.token_hex(32)}"


def _random() -> str:
    return secrets.token_hex(32)


def _kind(fleet: Fleet, key: Key) -> Kind:
    match key:
        case ("gateway", "master_key"):
            return Kind(_administrator, _of_master_key(fleet))
        case ("gateway", "salt_key"):
            return Kind(
                _administrator,
                "never replace it: keys and passwords in the database become unreadable",
            )
        case ("keys", "root"):
            return Kind(
                _random,
                "another one gives every developer another key. For one key, raise "
                "keys.people.<person>.rotation",
            )
        case ("gateway", "redis", "password") if fleet.gateway and _installs_redis(fleet):
            return Kind(_random, "another one restarts Redis and the gateways")
        case ("gateway", "database", "password"):
            return Kind(_random, "another one changes Postgres and restarts the gateways")
        case ("models", name, "api_key") if _is_installed(fleet, str(name)):
            return Kind(_random, "another one restarts the engine and the gateways")
        case ("developers", _, "key") | ("keys", "people", _, "key") if fleet.gateway:
            return Kind(_administrator, "another one replaces the key at the gateways and clients")
        case ("developers", _, "key") | ("keys", "people", _, "key"):
            return Kind(None, "the operator of the external gateway has it")
    return Kind(None, "its issuer has it")


def _of_master_key(fleet: Fleet) -> str:
    gateway = fleet.gateway
    if gateway and gateway.database and not gateway.salt_key:
        return "another one makes keys and passwords in the database unreadable: set salt_key first"
    return "another one restarts the gateways, one after another; developers' keys stay"


def _installs_redis(fleet: Fleet) -> bool:
    return bool(fleet.gateway and fleet.gateway.redis and fleet.gateway.redis.install)


def _is_installed(fleet: Fleet, name: str) -> bool:
    model = fleet.models.get(name)
    return isinstance(model, EngineModel) and bool(model.hosts)


def _write(path: Path, value: str) -> None:
    """Write a new file that only its owner can read. Raises ``FileExistsError`` if there is one."""
    for directory in reversed([each for each in path.parents if not each.exists()]):
        directory.mkdir(mode=0o700)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(f"{value}\n")


def ignore(fleet: Fleet, made: Iterator[Path] | list[Path]) -> list[str]:
    """Add the files that are not ignored to the .gitignore beside the fleet file.

    Returns the lines that were added. Files outside of that directory are left to their own
    repository, if there is one.
    """
    home = fleet.document.path.resolve().parent
    inside = [path.resolve() for path in made if path.resolve().is_relative_to(home)]
    file = home / ".gitignore"
    present = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    names = [_line(path.relative_to(home)) for path in inside if not _is_ignored(path)]
    added = [name for name in dict.fromkeys(names) if name not in present]
    if added:
        text = "\n".join([*present, *added]) + "\n"
        file.write_text(text, encoding="utf-8")
    return added


def _line(path: Path) -> str:
    """Return the line for a file: its folder if that is made for secrets, else itself."""
    return "/secrets/" if path.parts[0] == "secrets" and len(path.parts) > 1 else f"/{path}"


def _is_ignored(path: Path) -> bool:
    """Return whether git ignores a file; false without git or outside of a repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(path.parent), "check-ignore", "-q", path.name],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return False
    return done.returncode == 0
