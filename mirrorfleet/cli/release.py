"""Which release of Mirrorfleet this is, as a line of requirements.txt that installs the same."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution

from mirrorfleet import __version__


def requirement() -> str:
    """Return the requirement: the installed archive by its URL and hash, or the version.

    pip and uv record an archive's origin in direct_url.json (PEP 610). A tree that is worked on has
    no archive: its version is pinned.
    """
    try:
        origin = json.loads(distribution("mirrorfleet").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        origin = {}
    digest = origin.get("archive_info", {}).get("hashes", {}).get("sha256")
    if digest and origin["url"].startswith("https://"):
        return f"mirrorfleet @ {origin['url']}#sha256={digest}"
    return f"mirrorfleet=={__version__}"
