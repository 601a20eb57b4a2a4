"""Where an engine's weights stand on the host, and how they get there whole."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path

from pyinfra.api.exceptions import DeployError

from fleet.spec import Weights
from roles.host.cache import cached
from roles.host.commands import Commands, script
from roles.host.observe import Observation
from roles.host.places import STATE
from roles.host.report import Change
from roles.host.upload import upload

DIRECTORY = f"{STATE}/weights"

WHOLE = 16 * 1024**2
"""Bytes up to which a file counts with all its content; of a larger one, its size and ends."""

ENDS = 1024**2


def location(model: str, weights: Weights) -> str:
    """Return the directory on the host; other weights are another directory."""
    match weights.kind:
        case "path":
            return weights.source
        case "hub":
            return f"{DIRECTORY}/{model}-{(weights.revision or '')[:12]}"
        case "push":
            return f"{DIRECTORY}/{model}-{fingerprint(Path(weights.source))[:12]}"


@cache
def fingerprint(directory: Path) -> str:
    """Return a digest that tells two sets of weights apart without reading 80 GB at every run.

    Raises ``DeployError`` when the directory holds no model.
    """
    if not (directory / "config.json").is_file():
        raise DeployError(f"has no weights to be pushed: there is no config.json in {directory}.")
    digest = sha256()
    for file in sorted(path for path in directory.rglob("*") if path.is_file()):
        size = file.stat().st_size
        digest.update(f"{file.relative_to(directory)} {size}\n".encode())
        with file.open("rb") as stream:
            if size <= WHOLE:
                digest.update(stream.read())
            else:
                digest.update(stream.read(ENDS))
                stream.seek(-ENDS, 2)
                digest.update(stream.read())
    return digest.hexdigest()


def archive(directory: Path) -> Path:
    """Return the weights as one tar file of the controller's cache."""

    def make(path: Path) -> None:
        with tarfile.open(path, "w") as tar:
            for file in sorted(path for path in directory.rglob("*") if path.is_file()):
                tar.add(file, str(file.relative_to(directory)))

    return cached(f"weights/{fingerprint(directory)[:16]}.tar", make)


# The directory gets its name when all of it is there: a cut upload or download never counts.
UNPACK = """\
[ ! -e {target} ] || exit 0
umask 022
mkdir new
tar -xf upload -C new --no-same-owner
chmod -R u=rwX,go=rX new
mkdir -p {root}
mv new {target}
"""

# Run as the engine's user: a download needs no more. What is there already of a cut one is kept.
DOWNLOAD = """\
umask 022
install -d -m 755 {root}
install -d -m 755 -o {user} -g {user} {target}.part
runuser -u {user} -- env HF_HOME={target}.part/.cache HF_HUB_DISABLE_TELEMETRY=1 \\
    {environment}/bin/hf download {repository} --revision {revision} --local-dir {target}.part
test -f {target}.part/config.json
rm -rf {target}.part/.cache
chown -R root:root {target}.part
mv {target}.part {target}
"""


def changes(model: str, weights: Weights, seen: Observation) -> Iterator[Change]:
    """Yield the weights, if the host will be given them."""
    if weights.kind != "path" and location(model, weights) not in seen.paths:
        yield Change(f"{location(model, weights)} is missing")


def fetch(model: str, weights: Weights, environment: str, user: str, seen: Observation) -> Commands:
    """Bring the weights to the host when they are not there."""
    target = location(model, weights)
    if target in seen.paths or weights.kind == "path":
        return
    if weights.kind == "push":
        then = UNPACK.format(root=DIRECTORY, target=target)
        yield from upload(archive(Path(weights.source)), then)
    else:
        yield script(
            DOWNLOAD.format(
                root=DIRECTORY,
                target=target,
                user=user,
                environment=environment,
                repository=weights.source,
                revision=weights.revision,
            )
        )
