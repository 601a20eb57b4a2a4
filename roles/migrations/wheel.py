"""Where the SQL comes from: the wheel of LiteLLM's tables that its lock file pins."""

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


def release(wanted: MigrationsPlan) -> str:
    """Return the package and the version of the migrations: "litellm-proxy-extras 0.4.108"."""
    return tables.release(locks.text(wanted.lock))


def fetch(wanted: MigrationsPlan) -> Path:
    """Bring the wheel into the cache, checked against its hash, and return the archive of it."""
    found = _ENTRY.search(locks.text(wanted.lock))
    if found is None:
        raise DeployError(f"the lock file {wanted.lock} does not pin {release(wanted)}.")
    # A wheel of SQL and Python alone: the same for every host.
    return cache.wheels(f"{found[0]}\n", release(wanted), "3.11", "x86_64", also="")


def migrations(wanted: MigrationsPlan) -> Mapping[str, bytes]:
    """Return the migrations by their paths, "migrations/20250326162113_baseline/migration.sql"."""
    with tarfile.open(fetch(wanted)) as archive:
        [name] = [each for each in archive.getnames() if each.endswith(".whl")] or [""]
        file = archive.extractfile(name) if name else None
        if file is None:
            raise DeployError(f"the tables cannot be made: {release(wanted)} is not in the cache.")
        content = zipfile.ZipFile(io.BytesIO(file.read()))
    named = {_SCRIPT.fullmatch(name): name for name in content.namelist()}
    return {match[1]: content.read(name) for match, name in named.items() if match}
