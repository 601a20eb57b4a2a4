"""Check that an image holds the LiteLLM of the fleet file, and no package that is refused.

    python3 check_image.py PROGRAM

Run in the image, in the directory of image.json. If all is well, runs PROGRAM there.
"""

from __future__ import annotations

import json
import re
import runpy
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any


def faults(expected: dict[str, Any], found: dict[str, set[str]]) -> Iterator[str]:
    """Yield what is wrong with the packages ``found``, which maps names to versions."""
    litellm = ", ".join(sorted(found.get("litellm", ()))) or "no LiteLLM"
    if litellm != expected["litellm"]:
        yield f"holds {litellm}, but gateway.version is {expected['litellm']}"
    for name, refused in expected["refused"].items():
        for version in sorted(found.get(name, ())):
            for releases in refused:
                if version in releases["versions"] or _is_between(
                    version, releases["introduced"], releases["fixed"]
                ):
                    yield f"holds {name} {version}: {releases['advisory']} ({releases['what']})"


def _is_between(version: str, introduced: str, fixed: str | None) -> bool:
    from packaging.version import InvalidVersion, Version  # LiteLLM depends on it

    try:
        return fixed is not None and Version(introduced) <= Version(version) < Version(fixed)
    except InvalidVersion:
        return False


def installed() -> dict[str, set[str]]:
    """Return the versions of each package that this Python finds; a package may have several."""
    found: dict[str, set[str]] = {}
    for distribution in metadata.distributions():
        name = re.sub("[-_.]+", "-", distribution.metadata["Name"] or "").lower()
        found.setdefault(name, set()).add(distribution.version)
    return found


def main(program: str) -> None:
    """Run the program, or exit with what is wrong with the image."""
    expected = json.loads(Path("image.json").read_text(encoding="utf-8"))
    if wrong := list(faults(expected, installed())):
        sys.exit("\n".join(f"the image {fault}" for fault in wrong))
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
