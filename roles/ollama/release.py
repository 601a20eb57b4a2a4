"""The release of Ollama on a host, from an archive with a known SHA-256."""

from __future__ import annotations

from hashlib import file_digest, sha256
from pathlib import Path

from pyinfra.api.exceptions import DeployError

from mirrorfleet.config import reading
from mirrorfleet.config.ollama import Release
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.ollama import OllamaPlan
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.download import download
from mirrorfleet.runtime.facts import Exists
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.shell import shell
from mirrorfleet.runtime.upload import upload

RELEASES = f"{ROOT}/ollama/releases"
FILES = Path(__file__).parent / "files"


def directory(plan: OllamaPlan, release: Release) -> str:
    """Return the directory of a release. Each has its own, so none finds another's library.

    Its name contains the digests of all archives: with another part, it is another release.
    """
    digest = release.sha256
    if release.also:
        digest = sha256(" ".join(each.sha256 for each in archives(release)).encode()).hexdigest()
    return f"{RELEASES}/{plan.version}-{digest[:8]}"


def archives(release: Release) -> tuple[Release, ...]:
    """Return the archives of a release in the order in which they are unpacked."""
    return (release, *release.also)


def binary(plan: OllamaPlan, release: Release) -> str:
    """Return the path of the server. It exists only once the release is complete."""
    return f"{directory(plan, release)}/bin/ollama"


def chosen(plan: OllamaPlan, observed: Observation) -> Release:
    """Return the release for the host's architecture. Raises ``DeployError`` if there is none."""
    architecture = observed.machine.architecture
    if architecture not in plan.releases:
        known = ", ".join(plan.releases)
        raise DeployError(
            f"the architecture is {architecture}, but Ollama {plan.version} is known for {known} "
            "only. Set a 'release' with its sha256."
        )
    return plan.releases[architecture]


def fetch(plan: HostPlan, observed: Observation) -> list[Path | None]:
    """Download the archives, and return their paths.

    ``None`` for one that the host downloads itself; nothing if the host has the release already.
    """
    [ollama] = plan.engines_of(OllamaPlan)
    release = chosen(ollama, observed)
    if observed[Exists(binary(ollama, release))]:
        return []
    return [_fetch(plan, ollama, archive) for archive in archives(release)]


def _fetch(plan: HostPlan, ollama: OllamaPlan, archive: Release) -> Path | None:
    if archive.file:
        return _verified(Path(archive.file), archive)
    return _download(ollama, archive) if plan.packages == "controller" else None


def _download(plan: OllamaPlan, release: Release) -> Path:
    name = f"ollama/{plan.version}-{release.sha256[:16]}.tar.zst"
    return download(f"Ollama {plan.version}", _url(plan, release), release.sha256, name)


def _url(plan: OllamaPlan, release: Release) -> str:
    if release.url is None:
        raise ValueError(f"the release of Ollama {plan.version} has neither a url nor a file")
    return release.url


def _verified(path: Path, release: Release) -> Path:
    try:
        with reading.opened(path) as file:
            found = file_digest(file, "sha256").hexdigest()
    except reading.Unreadable as error:
        raise DeployError(f"Ollama's release {error}") from None
    if found != release.sha256:
        raise DeployError(
            f"{path} is not the expected release: its sha256 is {found}, not {release.sha256}."
        )
    return path


def install(plan: HostPlan, observed: Observation, user: str) -> Commands:
    """Unpack the release on the host, beside other releases, unless the host has it."""
    [ollama] = plan.engines_of(OllamaPlan)
    release = chosen(ollama, observed)
    target = directory(ollama, release)
    if observed[Exists(binary(ollama, release))]:
        return
    begin = shell(FILES / "begin_release.sh", directory=target)
    end = shell(FILES / "finish_release.sh", directory=target, release=ollama.version, user=user)
    unpack = shell(FILES / "unpack_archive.sh", directory=target)
    every = archives(release)
    for archive, path in zip(every, fetch(plan, observed), strict=True):
        first = begin if archive is every[0] else ""
        then = unpack + (end if archive is every[-1] else "")
        if path:
            yield from upload(path, first + then, what="Ollama")
        else:
            url = _url(ollama, archive)
            yield script(
                shell(FILES / "download.sh", url=url, digest=archive.sha256) + first + then
            )
