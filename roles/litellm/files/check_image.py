"""Whether an image holds the LiteLLM that the fleet file names, and nothing that must not be run.

    python3 check_image.py PROGRAM

Run in the image, beside image.json; if all is well, goes on with another program there.
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


def faults(wanted: dict[str, Any], found: dict[str, set[str]]) -> Iterator[str]:
    """Yield what is wrong with the packages that were ``found``, by their versions."""
    litellm = ", ".join(sorted(found.get("litellm", ()))) or "no LiteLLM"
    if litellm != wanted["litellm"]:
        yield f"holds {litellm}, where gateway.version is {wanted['litellm']}"
    for name, advisories in wanted["refused"].items():
        for version in sorted(found.get(name, ())):
            for each in advisories:
                if version in each.get("only", ()) or _is_below(version, each.get("below")):
                    yield f"holds {name} {version}: {each['id']} ({each['what']})"


def _is_below(version: str, fixed: str | None) -> bool:
    from packaging.version import InvalidVersion, Version  # which LiteLLM brings with it

    try:
        return fixed is not None and Version(version) < Version(fixed)
    except InvalidVersion:
        return False


def installed() -> dict[str, set[str]]:
    """Return the versions of each package that this Python finds; of one there may be several."""
    found: dict[str, set[str]] = {}
    for each in metadata.distributions():
        name = re.sub("[-_.]+", "-", each.metadata["Name"] or "").lower()
        found.setdefault(name, set()).add(each.version)
    return found


def main(program: str) -> None:
    wanted = json.loads(Path("image.json").read_text(encoding="utf-8"))
    if wrong := list(faults(wanted, installed())):
        sys.exit("\n".join(f"the image {each}" for each in wrong))
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
