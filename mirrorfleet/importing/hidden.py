"""Recognize secrets while files are read, so that no later step can have one.

A secret is replaced by its number, and its text is forgotten when the reading ends. Nothing is
hashed: equal secrets have one number because their texts are compared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from mirrorfleet.checks import literals

NAMES = re.compile(
    r"(^|[_-])(api[_-]?keys?|keys?|key[_-]?id|tokens?|secrets?|pass(word|wd|phrase)?s?|pwd|(?<!custom_)auth|authtoken|"
    r"authorization|credentials?|cookie|dsn|webhook([_-]?url)?|connection[_-]string|salt)$",
    re.IGNORECASE,
)
"""Names of values that are secrets, if they are text."""

VALUES = re.compile(
    r"(?<![A-Za-z0-9])(sk|pk|rk|hf|gsk|r8|xai|pplx|tvly|nvapi|fw|glpat|dop_v1|lsv2_pt|csk|xox[a-z])[-_]"
    r"(?=[A-Za-z0-9_-]*[0-9])[A-Za-z0-9_-]{4,}"
    r"|\bgh[pousr]_\w{8,}|\bgithub_pat_\w+|\bAKIA[0-9A-Z]{8,}|\bAIza[\w-]{16,}|\beyJ[\w-]{8,}\."
    r"|-----BEGIN |\b(Bearer|Basic|Token)\s+(?![$<{])\S{4,}|://[^/@\s$]*:[^/@\s$]+@"
)
"""Known shapes of secrets, anywhere in a text, and URLs with a password."""

IN_HEADERS = re.compile(r"key|token|secret|auth|cookie|password|credential|honeycomb", re.I)
"""Words in a list of headers that has a secret."""

REFERENCE = re.compile(
    r"os\.environ/(?P<a>[A-Za-z_]\w*)|\$\{(?P<b>[A-Za-z_]\w*)(?::?\?[^}]*|:?-)?\}|\$(?P<c>[A-Za-z_]\w*)"
)
"""A text that is nothing but a reference to an environment variable."""

NO_KEY = frozenset(
    (
        "",
        "none",
        "null",
        "empty",
        "na",
        "n/a",
        "not-needed",
        "not-used",
        "unused",
        "dummy",
        "dummy-key",
        "fake",
        "fake-key",
        "anything",
        "no-key",
        "no-key-needed",
        "no-key-required",
        "noop",
        "x",
        "xxx",
        "ollama",
        "lm-studio",
        "local",
        "placeholder",
        "ignored",
        "not_needed",
        "not-required",
        "sk-none",
    )
)
"""What people write where a server asks for no key."""

NOT_SECRET = re.compile(r"^(true|false|yes|no|on|off|[0-9.]+|/[\w./-]*|\.{1,2}/[\w./-]*)$", re.I)
"""Values that are none under the name of a secret: switches, numbers of tokens, paths of files."""


@dataclass(frozen=True)
class Hidden:
    """A secret of the input: its number among all secrets, never its text."""

    number: int


class Secrets:
    """The secrets that are read. Use one for an import, and drop it when everything is read."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def hide(self, name: str, value: Any) -> Any:
        """Return a value, or ``Hidden`` if its name or its text says that it is secret."""
        if not isinstance(value, str | int) or isinstance(value, bool):
            return value
        text = str(value)
        if not is_secret(name, text):
            return value
        if text not in self._texts:
            self._texts.append(text)
        return Hidden(self._texts.index(text))


def is_secret(name: str, text: str) -> bool:
    """Return whether a value under this name is a secret."""
    if text.strip().lower() in NO_KEY or REFERENCE.fullmatch(text):
        return False
    if VALUES.search(text):
        return True
    if name.upper().endswith("_HEADERS"):
        return bool(IN_HEADERS.search(text))
    if not (literals.is_secret_name(name) or NAMES.search(name)) or literals.NO_SECRET.search(name):
        return False
    digits = text.isdecimal() and not re.search("pass|pwd|secret", name, re.I)
    return not digits and not (NOT_SECRET.match(text) and not text.isdecimal())


def referred(value: Any) -> str | None:
    """Return the variable that a text refers to as a whole, else ``None``."""
    found = REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return found and (found["a"] or found["b"] or found["c"])


def expanded(text: str) -> str | None:
    """Return a text with the defaults of its variables; ``None`` if one has no default."""
    filled, before = text, ""
    while filled != before:  # a default can have a variable with a default
        filled, before = re.sub(r"\$\{\w+:?-([^{}]*)\}", r"\1", filled), filled
    return None if re.search(r"\$[{(]?\w|`", filled) else filled.replace("$$", "$")


def shown(text: str) -> str:
    """Return a name for the report. A key that looks like a secret is not shown."""
    return "(hidden)" if VALUES.search(text) else text
