"""Text that a host's programs read: templates and quoting."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jinja2


def template(path: Path, **values: Any) -> str:
    """Fill a template; a value that it asks for and is not given is an error."""
    return _compiled(path).render(values)


@cache
def _compiled(path: Path) -> jinja2.Template:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(path.read_text(encoding="utf-8"))


def environment_file(values: dict[str, str]) -> str:
    """Return the values as systemd's EnvironmentFile= reads them, one quoted line each."""
    return "".join(f"{name}={_quoted(value)}\n" for name, value in sorted(values.items()))


def _quoted(value: str) -> str:
    for special in '\\"$`':
        value = value.replace(special, f"\\{special}")
    return f'"{value}"'
