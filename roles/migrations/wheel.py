"""The wheel with the SQL migrations, which LiteLLM's lock file pins."""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from pyinfra.api.exceptions import DeployError

from mirrorfleet.planning import MigrationsPlan
from mirrorfleet.runtime import cache, locks, tables
from mirrorfleet.runtime.tables import PACKAGE

_ENTRY = re.compile(rf"^{PACKAGE}==(?:.*\\\n)*.*", re.MULTILINE)
_SCRIPT = re.compile(r"litellm_proxy_extras/(migrations/[^/]+/migration\.sql)")


def release(plan: MigrationsPlan) -> str:
    """Return the package and the version of the migrations: "litellm-proxy-extras 0.4.108"."""
    return tables.release(locks.text(plan.lock))


def fetch(plan: MigrationsPlan) -> Path:
    """Download the wheel into the cache, and return the path of an archive with it."""
    found = _ENTRY.search(locks.text(plan.lock))
    if found is None:
        raise DeployError(f"the lock file {plan.lock} does not pin {release(plan)}.")
    # The wheel has no binaries: it is the same for every host.
    return cache.wheels(f"{found[0]}\n", release(plan), "3.11", "x86_64", also="")


def migrations(plan: MigrationsPlan) -> Mapping[str, bytes]:
    """Return the migrations by path, "migrations/20250326162113_baseline/migration.sql"."""
    with tarfile.open(fetch(plan)) as archive:
        [name] = [each for each in archive.getnames() if each.endswith(".whl")] or [""]
        file = archive.extractfile(name) if name else None
        if file is None:
            raise DeployError(
                f"the tables cannot be migrated: {release(plan)} is not in the cache."
            )
        content = zipfile.ZipFile(io.BytesIO(file.read()))
    named = {_SCRIPT.fullmatch(name): name for name in content.namelist()}
    return {match[1]: content.read(name) for match, name in named.items() if match}
