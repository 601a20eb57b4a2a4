"""How systemd reads ExecStart=, by the rules of systemd.service(5) and systemd.unit(5).

The real one reads the same words in the lab: tests/lab/verify/test_units.py.
"""

from __future__ import annotations

ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t", "s": " "}


def arguments(unit: str, environment: dict[str, str]) -> list[str]:
    """Return what the process of a unit with one ExecStart= gets. Raises ``ValueError``."""
    [line] = [each for each in logical(unit) if each.startswith("ExecStart=")]
    said = words(line.removeprefix("ExecStart="))
    return [part for word in said for part in expanded(specified(word), environment)]


def logical(unit: str) -> list[str]:
    """Return the lines of a unit, those together that a backslash joins; comments are none."""
    lines, open_line = [], ""
    for line in unit.split("\n"):
        if line.lstrip().startswith(("#", ";")):
            continue
        if line.endswith("\\"):
            open_line += line[:-1] + " "
        else:
            lines.append(open_line + line)
            open_line = ""
    return lines


def words(line: str) -> list[str]:
    """Split a line; a backslash escapes between quotes of both kinds, too."""
    found, word, quote, at = list[str](), None, "", 0
    while at < len(line):
        character = line[at]
        at += 1
        if character == "\\":
            if line[at : at + 1] not in ESCAPES:
                raise ValueError(f"unknown escape: {line[at : at + 1]!r}")
            word, at = (word or "") + ESCAPES[line[at]], at + 1
        elif quote:
            quote, word = ("", word) if character == quote else (quote, (word or "") + character)
        elif character in "'\"":
            quote, word = character, word or ""
        elif character in " \t":
            if word is not None:
                found.append(word)
            word = None
        elif character == ";" and word is None and line[at : at + 1] in ("", " ", "\t"):
            raise ValueError("a second command")
        else:
            word = (word or "") + character
    if quote:
        raise ValueError("an open quote")
    return found if word is None else [*found, word]


def specified(word: str) -> str:
    """Expand the specifiers; of those, only %% is expected."""
    plain = word.replace("%%", "")
    if "%" in plain:
        raise ValueError(f"a specifier: {word!r}")
    return word.replace("%%", "%")


def expanded(word: str, environment: dict[str, str]) -> list[str]:
    """Expand variables: a word that is one becomes several words, ${…} is one anywhere."""
    if word.startswith("$") and not word.startswith(("${", "$$")):
        return environment.get(word[1:], "").split()
    said, at = "", 0
    while at < len(word):
        if word.startswith("$$", at):
            said, at = said + "$", at + 2
        elif word.startswith("${", at) and "}" in word[at:]:
            end = word.index("}", at)
            said, at = said + environment.get(word[at + 2 : end], ""), end + 1
        else:
            said, at = said + word[at], at + 1
    return [said]
