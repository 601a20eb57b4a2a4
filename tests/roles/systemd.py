"""A parser of ExecStart= by the rules of systemd.service(5) and systemd.unit(5).

The lab tests the same words with the real systemd: tests/lab/verify/test_units.py.
"""

from __future__ import annotations

ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t", "s": " "}


def arguments(unit: str, environment: dict[str, str]) -> list[str]:
    """Return the arguments of the process of a unit with one ExecStart=.

    Raises ``ValueError`` for syntax that Mirrorfleet does not use.
    """
    [command] = [line for line in logical(unit) if line.startswith("ExecStart=")]
    split = words(command.removeprefix("ExecStart="))
    return [part for word in split for part in expanded(specified(word), environment)]


def logical(unit: str) -> list[str]:
    """Return the lines of a unit without comments, with continuation lines joined."""
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
    """Split a line into words; a backslash also escapes inside both kinds of quotes."""
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
    """Expand the specifier %%. Raises ``ValueError`` for any other."""
    plain = word.replace("%%", "")
    if "%" in plain:
        raise ValueError(f"a specifier: {word!r}")
    return word.replace("%%", "%")


def expanded(word: str, environment: dict[str, str]) -> list[str]:
    """Expand variables: a word $NAME becomes several words, ${NAME} stays in its word."""
    if word.startswith("$") and not word.startswith(("${", "$$")):
        return environment.get(word[1:], "").split()
    expanded_word, at = "", 0
    while at < len(word):
        if word.startswith("$$", at):
            expanded_word, at = expanded_word + "$", at + 2
        elif word.startswith("${", at) and "}" in word[at:]:
            end = word.index("}", at)
            expanded_word, at = expanded_word + environment.get(word[at + 2 : end], ""), end + 1
        else:
            expanded_word, at = expanded_word + word[at], at + 1
    return [expanded_word]
