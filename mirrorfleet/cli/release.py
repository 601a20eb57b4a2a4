"""The release of Mirrorfleet that runs, as a line of requirements.txt that installs the same."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution


def requirement() -> str | None:
    """Return the requirement: the installed archive by its URL and hash, ``None`` without a URL.

    pip and uv record an archive's origin in direct_url.json (PEP 610). A source tree and a wheel
    from the disk have no URL. A version is not enough: no package index has Mirrorfleet, and
    another project could take the name.
    """
    try:
        origin = json.loads(distribution("mirrorfleet").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        origin = {}
    digest = origin.get("archive_info", {}).get("hashes", {}).get("sha256")
    if digest and origin["url"].startswith("https://"):
        return f"mirrorfleet @ {origin['url']}#sha256={digest}"
    return None
