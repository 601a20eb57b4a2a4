"""Pure: lines of journals, from journalctl's JSON to what people and programs read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

FAILED = "failed\t"
"""The start of the line that the script prints if journalctl refuses."""

LEVELS = ("emerg", "alert", "crit", "error", "warning", "notice", "info", "debug")
"""The names of syslog's levels, by number."""

WORDS = "ERROR|FATAL|CRITICAL|ALERT|PANIC|EMERG"

ERROR = rf'"level": "(?:{WORDS})"|^.{{0,80}}\b(?:{WORDS})\b'
"""The pattern of errors, of journalctl and of Python: most services give all lines one priority."""

WARNING = r".{0,80}\bWARNING\b"

STYLES = {
    **dict.fromkeys(("emerg", "alert", "crit", "critical", "error"), "red"),
    "warning": "yellow",
}
"""The colours of the levels that somebody should see. LiteLLM writes "critical"."""

COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
"""Sequences that colour a terminal."""


@dataclass(frozen=True)
class Entry:
    """A line of a journal.

    ``time`` is in microseconds since 1970. ``service`` is the unit's name without "mirrorfleet-"
    and ".service". ``cursor`` is the line's place in the journal of its host.
    """

    time: int
    host: str
    service: str
    level: str
    message: str
    cursor: str = ""

    def report(self) -> dict[str, str]:
        """Return the entry for programs."""
        return {
            "time": self.at().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "host": self.host,
            "service": self.service,
            "level": self.level,
            "message": self.message,
        }

    def at(self) -> datetime:
        return datetime.fromtimestamp(self.time / 1e6, UTC)


def parse(host: str, lines: Iterable[str]) -> list[Entry]:
    """Return the entries of a host from what its script printed, each once, in the order of time.

    Ignores a login shell's greeting. Raises ``ValueError`` with journalctl's own words.
    """
    found: dict[str, Entry] = {}
    for line in lines:
        if line.startswith(FAILED):
            raise ValueError(line.removeprefix(FAILED))
        if not line.startswith("{"):
            continue
        entry = json.loads(line)
        level, message = _content(_text(entry.get("MESSAGE")), entry.get("PRIORITY"))
        cursor = entry["__CURSOR"]
        moment = int(entry["__REALTIME_TIMESTAMP"])
        found[cursor] = Entry(moment, host, _service(entry), level, message, cursor)
    return in_order(found.values())


def _service(entry: dict[str, Any]) -> str:
    """Return the service of an entry. What systemd says of a unit has the unit in another field."""
    unit = str(entry.get("UNIT") or entry.get("_SYSTEMD_UNIT") or "")
    return unit.removeprefix("mirrorfleet-").removesuffix(".service")


def _text(message: Any) -> str:
    """Return a message as text: journalctl gives one that is no text as a list of bytes."""
    if isinstance(message, list):
        return bytes(message).decode("utf-8", "replace")
    return str(message or "")


def _content(text: str, priority: Any) -> tuple[str, str]:
    """Return level and message. Services write their own level into the message."""
    if text.startswith('{"'):
        try:
            inner = json.loads(text)
        except ValueError:
            inner = {}
        if isinstance(inner.get("message"), str):
            return str(inner.get("level", "info")).lower(), inner["message"]
    number = str(priority)
    level = LEVELS[int(number)] if number.isdecimal() and int(number) < len(LEVELS) else "info"
    if re.match(ERROR, text) and level not in STYLES:
        level = "error"
    elif re.match(WARNING, text):
        level = "warning"
    return level, text


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Return entries of several hosts in the order of time."""
    return sorted(entries, key=lambda entry: entry.time)


def cursors(entries: Sequence[Entry]) -> dict[str, str]:
    """Return the last cursor of each host."""
    return {entry.host: entry.cursor for entry in in_order(entries)}


def line(entry: Entry, width: int) -> Text:
    """Return an entry as a line for a person. ``width``: that of the longest host's name.

    Control characters of a message, which could rewrite the terminal, are removed.
    """
    lines = COLOURS.sub("", entry.message).splitlines()
    message = "\n    ".join("".join(filter(_is_shown, one)) for one in lines)
    text = Text(f"{entry.at():%m-%d %H:%M:%S} ", style="dim")
    text.append(f"{entry.host:{width}} {entry.service}", style="bold not dim")
    text.append(": ", style="not dim")
    text.append(message, style=STYLES.get(entry.level, "not dim"))
    return text


def _is_shown(character: str) -> bool:
    return character.isprintable() or character == "\t"
