"""Move the release that Mirrorfleet proposes: ``python -m tools.propose SERVICE RELEASE``.

Writes it into mirrorfleet/data/releases.yml, and in place of the former one into examples, docs and
tests. What was measured or observed with the former release keeps it: records, sentences, comments.
Release notes and recorded files are not touched.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path, PurePosixPath

from mirrorfleet.config.lock_files import NPM, PYTHON
from mirrorfleet.data import proposed

ROOT = Path(__file__).parents[1]
RELEASES = "mirrorfleet/data/releases.yml"

EXAMPLES = ("README.md", "benchmarks", "docs", "inventories", "schemas/fleet.schema.json")
"""Here, a release counts as a value only: of a key `version`, or in quotes."""

TESTS = "tests"
"""Here it counts in inputs and expectations: not in comments and docstrings of Python."""

FACTS = (
    "benchmarks/results/",
    "docs/images/",
    "docs/reference/",
    "tests/fleet/models/",
    "tests/fleet/plans/",
    "tests/lab/families/",
    "tests/roles/golden/",
    "tests/roles/known_content/",
    "tests/standins/",
)
"""Files that are generated, recorded or about one release."""

VALUE = r'(?P<before>version(?:\\?": |: )\\?"?|\[")'
COMMENT = re.compile(r'\s*#|\s*"""|\s*[A-Z][^"{}]*$')
"""A line of Python that is a comment, a docstring, or a sentence inside of one."""


def moved(name: str, text: str, old: str, new: str) -> str:
    """Return the text of a file with another release, where the old one is no fact.

    ``name``: its path in the repository. ``old``, ``new``: releases, such as 1.2.3.
    """
    if name == RELEASES or name.startswith(FACTS):
        return text
    release = rf"(?<![\d.]){re.escape(old)}(?!\d|\.\d|-cpu)"
    if not name.startswith(TESTS):
        return re.sub(VALUE + release, rf"\g<before>{new}", text)
    python = PurePosixPath(name).suffix == ".py"
    lines = text.splitlines(keepends=True)
    return "".join(
        line if python and COMMENT.match(line) else re.sub(release, new, line) for line in lines
    )


def main(arguments: list[str]) -> int:
    """Move a service to a release that is locked; return 2 for a usage error, else 0 or 1."""
    match arguments:
        case [("litellm" | "claude") as service, new]:
            pass
        case _:
            print(f"{__doc__}\nSERVICE: litellm or claude.", file=sys.stderr)
            return 2
    lock = ROOT / f"roles/{service}/locks/{new}{NPM if service == 'claude' else PYTHON}"
    if not lock.exists():
        print(f"propose: lock it first: mirrorfleet lock {service} {new}", file=sys.stderr)
        return 1
    old = proposed(service)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *EXAMPLES, TESTS],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.suffix in (".py", ".yml", ".md", ".json") and not path.is_symlink():
            before = path.read_text("utf-8")
            if (after := moved(name, before, old, new)) != before:
                path.write_text(after, "utf-8")
    path = ROOT / RELEASES
    text = path.read_text("utf-8").replace(f"\n{service}: {old}\n", f"\n{service}: {new}\n")
    path.write_text(text, "utf-8")
    print(f"{service}: {old} -> {new}. Next: docs/contributing/release.md, step 4")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
