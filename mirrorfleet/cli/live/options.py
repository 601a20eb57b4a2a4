"""Options of live commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click
from click.core import ParameterSource

Function = Callable[..., int]


def limit(function: Function) -> Function:
    """Add ``--limit``, several times or with commas, as the parameter ``limit``."""
    return click.option(
        "--limit",
        metavar="HOST,...",
        multiple=True,
        help="Only these hosts: names, labels, or patterns such as 'gw-*'.",
    )(function)


def yes(function: Function) -> Function:
    """Add ``--yes``, as the parameter ``yes``."""
    return click.option("-y", "--yes", is_flag=True, help="Make the changes without a question.")(
        function
    )


def as_json(function: Function) -> Function:
    """Add ``--json``, as the parameter ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(
        function
    )


def diff(function: Function) -> Function:
    """Add ``--diff``, as the parameter ``diff``."""
    return click.option(
        "--diff", is_flag=True, help="Show old and new text of each changed file, without secrets."
    )(function)


def data(**given: Any) -> dict[str, Any]:
    """Return the options of a deploy that were given."""
    return {name: value for name, value in given.items() if value not in (None, "", ())}


def given(hosts: Sequence[str] = ()) -> list[str]:
    """Return the options of the present command line, to repeat it, there or on these hosts alone.

    Without ``--yes``: what changes then was not seen.
    """
    context = click.get_current_context()
    found = []
    for option in context.command.params:
        name = option.name or ""
        if not isinstance(option, click.Option) or name == "yes":
            continue
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            value = context.params[name]
            if name == "limit" and hosts:
                value = [",".join(hosts)]
            found += _words(option, value)
    if hosts and "--limit" not in found:
        found += ["--limit", ",".join(hosts)]
    return found


def _words(option: click.Option, value: Any) -> list[str]:
    name = option.opts[0]
    if option.is_flag:
        return [name]
    return [word for each in (value if option.multiple else [value]) for word in (name, str(each))]
