"""A release of Ollama on a host: the archive whose sha256 is known, and no other."""

from __future__ import annotations

import shlex
import shutil
from hashlib import file_digest
from pathlib import Path
from urllib.request import urlopen

from pyinfra import logger
from pyinfra.api.exceptions import DeployError

from mirrorfleet.config import reading
from mirrorfleet.config.ollama import Release
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.ollama import OllamaPlan
from mirrorfleet.runtime.cache import cached
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT, STATE
from mirrorfleet.runtime.upload import upload

RELEASES = f"{ROOT}/ollama/releases"
SILENCE = 60
"""Seconds without a byte after which a download counts as broken."""


def directory(plan: OllamaPlan, release: Release) -> str:
    """Return where it stands; another release is another directory, so no library is left over."""
    return f"{RELEASES}/{plan.version}-{release.sha256[:8]}"


def binary(plan: OllamaPlan, release: Release) -> str:
    """Return the server's program. A release gets its name when all of it is there."""
    return f"{directory(plan, release)}/bin/ollama"


def chosen(plan: OllamaPlan, seen: Observation) -> Release:
    """Return the release for the host's architecture. Raises ``DeployError`` if there is none."""
    if seen.architecture not in plan.releases:
        known = ", ".join(plan.releases)
        raise DeployError(
            f"the processor is {seen.architecture}, and Ollama {plan.version} is known for {known} "
            "only. Set a 'release' with its sha256."
        )
    return plan.releases[seen.architecture]


def fetch(plan: HostPlan, seen: Observation) -> Path | None:
    """Bring the archive to this machine; None where the host has it, or gets it by itself."""
    [ollama] = plan.engines_of(OllamaPlan)
    release = chosen(ollama, seen)
    if binary(ollama, release) in seen.paths:
        return None
    if release.file:
        return _verified(Path(release.file), release)
    return _download(ollama.version, release) if plan.packages == "controller" else None


def _download(version: str, release: Release) -> Path:
    url = release.url
    assert url is not None

    def make(path: Path) -> None:
        logger.info(f"--> Fetching Ollama {version}, once")
        try:
            with urlopen(url, timeout=SILENCE) as answer, path.open("wb") as file:
                shutil.copyfileobj(answer, file, 1024**2)
        except OSError as error:
            raise DeployError(f"Ollama {version} cannot be fetched from {url}: {error}") from None
        _verified(path, release)

    return cached(f"ollama/{version}-{release.sha256[:16]}.tar.zst", make)


def _verified(path: Path, release: Release) -> Path:
    try:
        with reading.opened(path) as file:
            found = file_digest(file, "sha256").hexdigest()
    except reading.Unreadable as error:
        raise DeployError(f"Ollama's release {error}") from None
    if found != release.sha256:
        raise DeployError(
            f"{release.url or release.file} is not the expected release: its sha256 is "
            f"{found}, not {release.sha256}."
        )
    return path


DOWNLOAD = """\
find {state} -maxdepth 1 -name 'work.*' -mmin +60 -exec rm -rf {{}} +
work=$(mktemp -d {state}/work.XXXXXX)
trap 'rm -rf "$work"' EXIT
cd "$work"
curl -fsSL --retry 3 --speed-limit 1000 --speed-time 60 -o upload {url}
echo "{sha256}  upload" | sha256sum --check --quiet
"""

# It says its version before it gets its name: an address and a digest may be those of another one.
# No server is to answer in its place, so it is asked to look for one where none can be.
UNPACK = """\
[ ! -e {directory} ] || exit 0
umask 022
rm -rf {directory}.new
mkdir -p {directory}.new
tar -xf upload -C {directory}.new --no-same-owner
chmod -R u=rwX,go=rX {directory}.new
said=$(runuser -u {user} -- env HOME=/nonexistent OLLAMA_HOST=127.0.0.1:9 \\
    {directory}.new/bin/ollama --version 2>&1 | tail -n 1)
echo "$said" | grep -qwF '{version}' || {{
    rm -rf {directory}.new
    echo "the archive holds no Ollama {version}; it says: $said" >&2
    exit 1
}}
mv -T {directory}.new {directory}
"""


def install(plan: HostPlan, seen: Observation, user: str) -> Commands:
    """Unpack the release on the host when it is not there, beside those that are."""
    [ollama] = plan.engines_of(OllamaPlan)
    release = chosen(ollama, seen)
    place = directory(ollama, release)
    if binary(ollama, release) in seen.paths:
        return
    unpack = UNPACK.format(directory=place, version=ollama.version, user=user)
    archive = fetch(plan, seen)
    if archive:
        yield from upload(archive, unpack)
    else:
        get = DOWNLOAD.format(
            state=STATE, url=shlex.quote(release.url or ""), sha256=release.sha256
        )
        yield script(get + unpack)
