"""Write a fleet as YAML, in the layout of the examples: short mappings on one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from mirrorfleet.config.problems import Key
from mirrorfleet.importing.draft import Draft

WIDTH = 110
"""Most characters of a mapping on one line."""

ORDER = (
    *("version", "name", "hub", "hosts", "models", "gateway", "aliases", "fallbacks"),
    *("context_window_fallbacks", "content_policy_fallbacks", "keys", "developers"),
)

GATEWAY = (
    *(
        "hosts",
        "version",
        "runtime",
        "image",
        "url",
        "port",
        "workers",
        "timeout",
        "stream_timeout",
    ),
    *(
        "master_key",
        "salt_key",
        "database",
        "redis",
        "routing",
        "limits",
        "metrics",
        "callbacks",
        "modules",
    ),
)

HEADER = """\
# Written by `mirrorfleet import`. Lines with OPEN need a value: then run `mirrorfleet check`.
"""


def text(draft: Draft) -> str:
    """Return the fleet file."""
    data = _in_order(draft.data, ORDER)
    if "gateway" in data:
        data["gateway"] = _in_order(data["gateway"], GATEWAY)
    comments = {need.key: need.question for need in draft.needs}
    lines = [HEADER.rstrip()]
    for name, value in data.items():
        if len(lines) > 1 and name not in ("name",):
            lines.append("")
        lines += _entry(name, value, (name,), comments, 0)
    return "\n".join(_commented(lines)) + "\n"


def _in_order(data: Mapping[str, Any], order: tuple[str, ...]) -> dict[str, Any]:
    return {
        **{name: data[name] for name in order if name in data},
        **{name: each for name, each in data.items() if name not in order},
    }


def _entry(
    name: str, value: Any, key: Key, comments: Mapping[Key, str], depth: int
) -> Iterator[str]:
    indent = "  " * depth
    written = f"{indent}{_flow(name)}:"
    comment = comments.get(key)
    suffix = f"  # OPEN: {comment}" if comment else ""
    inside = any(other[: len(key)] == key and other != key for other in comments)
    flow = _flow(value)
    is_plain = not isinstance(value, dict | list) or not value
    fits = len(written) + 1 + len(flow) <= WIDTH and depth > 0 and not inside
    if isinstance(value, str) and (block := _block(value, depth + 1)):
        yield f"{written} {block[0]}{suffix}"
        yield from block[1:]
    elif is_plain or (fits and "\\n" not in flow):
        yield f"{written} {flow}{suffix}"
    elif isinstance(value, dict):
        yield written + suffix
        for inner, each in value.items():
            yield from _entry(inner, each, (*key, inner), comments, depth + 1)
    else:
        yield written + suffix
        for at, each in enumerate(value):
            yield from _item(each, (*key, at), comments, depth + 1)


def _item(value: Any, key: Key, comments: Mapping[Key, str], depth: int) -> Iterator[str]:
    indent = "  " * depth
    flow = _flow(value)
    inside = any(other[: len(key)] == key for other in comments)
    if (
        not isinstance(value, dict)
        or not value
        or (len(indent) + 2 + len(flow) <= WIDTH and not inside)
    ):
        comment = comments.get(key)
        yield f"{indent}- {flow}" + (f"  # OPEN: {comment}" if comment else "")
        return
    lines = [
        line
        for name, each in value.items()
        for line in _entry(name, each, (*key, name), comments, depth + 1)
    ]
    yield f"{indent}- {lines[0].lstrip()}"
    yield from lines[1:]


def _block(text: str, depth: int) -> list[str]:
    """Return a text of several lines as a literal block; empty if it cannot be one."""
    lines = text.removesuffix("\n").split("\n")
    is_safe = all(each.isprintable() for each in lines) and not text.startswith((" ", "\n"))
    if len(lines) < 2 or not is_safe or not lines[-1]:
        return []
    indent = "  " * depth
    header = "|" if text.endswith("\n") else "|-"
    return [header, *(f"{indent}{each}" if each else "" for each in lines)]


class _Dumper(yaml.SafeDumper):
    """Writes numbers in plain digits: a fleet file has no others, and YAML reads 5e-07 as text.

    A text of several lines is on one line, with escapes.
    """


def _digits(dumper: _Dumper, value: float) -> yaml.ScalarNode:
    # Every number of a draft has 1 to 12 digits before the point; a fleet file has 15 in all.
    text = f"{value:.{13 - len(str(int(abs(value))))}f}".rstrip("0")
    return dumper.represent_scalar(
        "tag:yaml.org,2002:float", f"{text}0" if text.endswith(".") else text
    )


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = '"' if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(float, _digits)
_Dumper.add_representer(str, _text)


def _flow(value: Any) -> str:
    dumped = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, width=10**9,
        allow_unicode=True,
    )  # fmt: skip
    return str(dumped).removesuffix("\n").removesuffix("\n...").rstrip("\n")


def _commented(lines: list[str]) -> Iterator[str]:
    """Put a comment that makes a line too long on a line of its own before it."""
    for line in lines:
        content, mark, comment = line.partition("  # OPEN: ")
        if mark and len(line) > WIDTH:
            indent = content[: len(content) - len(content.lstrip(" "))]
            yield f"{indent}# OPEN: {comment}"
            yield content
        else:
            yield line
