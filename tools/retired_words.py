"""Find words that this project no longer uses: ``python -m tools.retired_words [PATH...]``.

retired_words.txt lists them, each with what to write instead. Ends with 1 if a file has one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

LIST = Path(__file__).with_suffix(".txt")

SUFFIXES = {"", ".cfg", ".j2", ".json", ".md", ".py", ".sh", ".toml", ".txt", ".yml"}
"""Files of these kinds are searched; scripts in bin/ have none."""

OTHERS = (
    LIST.name,
    "/locks/",
    "mirrorfleet/data/litellm_",
    "schemas/claude-settings-",
    "litellm-config.schema",
    "requirements.lock",
    "LICENSE",
)
"""Parts of paths of files that hold other projects' words, or this list."""


def retired() -> dict[str, str]:
    """Return the patterns of retired words, each with what to write instead."""
    lines = LIST.read_text("utf-8").splitlines()
    return dict(line.split("\t") for line in lines if not line.startswith("#"))


def find(text: str, words: dict[str, str]) -> Iterator[tuple[int, str, str]]:
    """Yield the number of each line with a retired word, the word, and what to write instead."""
    pattern = re.compile(rf"(?<![a-zA-Z.])(?:{'|'.join(words)})(?![a-zA-Z])", re.IGNORECASE)
    for number, line in enumerate(text.splitlines(), 1):
        for found in pattern.findall(line):
            word = next(entry for entry in words if re.fullmatch(entry, found, re.IGNORECASE))
            yield number, found, words[word]


def files(paths: list[str]) -> Iterator[Path]:
    """Yield the files of the repository, below the paths, that hold words of this project."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *paths], check=True, capture_output=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        path = Path(name)
        ignored = any(part in name for part in OTHERS)
        if path.suffix in SUFFIXES and not ignored and path.is_file() and not path.is_symlink():
            yield path


def main(paths: list[str]) -> int:
    """Print each retired word as ``path:line: 'word': write …``; return 1 if there is one."""
    words = retired()
    found = [
        f"{path}:{number}: '{word}': write {instead}"
        for path in files(paths)
        for number, word, instead in find(path.read_text("utf-8"), words)
    ]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
