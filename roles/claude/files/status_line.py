"""Print Claude Code's status line: what is left of the developer's budgets, and the week's sum.

    python3 -ISB status_line.py URL [CERTIFICATES]

URL is the gateway's. The client runs this after every answer, so the line is kept for ``FRESH``
seconds, and a gateway that does not answer is asked no more often. Without an answer, it prints
nothing: a status line must never be an error. The key goes to URL only, never into argv.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

FRESH = 30
"""Seconds that a line is shown again without a request."""

PATIENCE = 2
"""Seconds for the answer of the gateway."""

LIMIT = 100_000
"""Most bytes of an answer that are read."""

YELLOW, RED, PLAIN = "\x1b[33m", "\x1b[31m", "\x1b[0m"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would send the key to another server."""

    def redirect_request(self, *_: Any) -> None:
        return None


def line(usage: dict[str, Any]) -> str:
    """Return the line for an answer of the gateway: the budgets with the least left first."""
    budgets = sorted(usage["budgets"], key=lambda budget: -budget["percent"])
    week = usage["week"]
    parts = [_budget(budget) for budget in budgets[:2]]
    if week:
        parts.append(f"this week: {_short(week['prompt'] + week['output'])} tokens")
    return " | ".join(parts)


def _budget(budget: dict[str, Any]) -> str:
    resets = datetime.fromisoformat(budget["resets"]).astimezone()
    if budget["unit"] == "cost":
        left = f"${budget['left']:.2f}"
    else:
        left = f"{_short(budget['left'])} tokens"
    name = "".join(each for each in str(budget["name"])[:40] if each.isprintable())
    text = f"{name}: {left} left until {resets:%a %d %H:%M}"
    color = RED if budget["spent"] else YELLOW if budget["warning"] else ""
    return f"{color}{text}{PLAIN}" if color else text


def _short(count: float) -> str:
    """Return a number for a narrow place: 900, 12k, 3.4M."""
    for factor, letter in ((10**9, "G"), (10**6, "M")):
        if count >= factor:
            return f"{count / factor:.1f}{letter}"
    return f"{count / 1000:.0f}k" if count >= 10_000 else f"{count:.0f}"


def fetched(url: str, key: str, certificates: str) -> dict[str, Any]:
    """Return the answer of the gateway. Raises ``OSError`` or ``ValueError`` without one."""
    handlers: list[urllib.request.BaseHandler] = [NoRedirect()]
    if certificates:
        import ssl

        context = ssl.create_default_context()
        context.load_verify_locations(certificates)
        handlers.append(urllib.request.HTTPSHandler(context=context))
    headers = {"Authorization": f"Bearer {key}"}
    request = urllib.request.Request(f"{url}/mirrorfleet/usage", headers=headers)
    opener = urllib.request.build_opener(*handlers)
    with opener.open(request, timeout=PATIENCE) as response:
        found: dict[str, Any] = json.loads(response.read(LIMIT))
        return found


def kept(cache: Path) -> str | None:
    """Return the line that was shown before; None if it is too old."""
    try:
        age = time.time() - cache.stat().st_mtime
        return cache.read_text("utf-8") if 0 <= age < FRESH else None
    except (OSError, ValueError):
        return None


def keep(cache: Path, text: str) -> None:
    """Keep a line, readable by the owner only."""
    new = cache.with_name(f"{cache.name}.{os.getpid()}")
    new.touch(0o600)
    new.write_text(text, "utf-8")
    new.replace(cache)


def main(url: str, certificates: str = "") -> None:
    directory = Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")
    cache = directory / "mirrorfleet-status-line"
    text = kept(cache)
    if text is None:
        try:
            key = (directory / "mirrorfleet-key").read_text("utf-8").strip()
            text = line(fetched(url, key, certificates))
        except (OSError, ValueError, LookupError, TypeError):
            text = ""
        keep(cache, text)
    print(text, end="")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception:  # whatever it is, the client goes on without a status line
        sys.exit(0)
