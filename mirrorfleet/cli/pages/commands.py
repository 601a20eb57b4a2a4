"""The reference of the command line, generated from the commands: docs/reference/cli.md."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from mirrorfleet.cli.command import Command
from mirrorfleet.cli.commands import COMMANDS, group, short_help
from mirrorfleet.cli.fleet_file import VARIABLE

HEAD = f"""\
# Command line

Generated from the commands by `mirrorfleet schema --commands`.

FILE is the fleet file. Without it, a command takes `${VARIABLE}`, or the only fleet file in the
current directory and `inventories/`: the only one with `version: 1` that no other of them includes.

| exit code | meaning |
|---|---|
| 0 | success; warnings alone do not change it |
| 1 | a mistake in the fleet file, or a failure; each is printed |
| 2 | misuse: an unknown command or option, no fleet file, or no host for `--limit` |
| 3 | `plan --exit-code`: something would change |
| 130 | interrupted by Ctrl-C |

With `--json`, commands that change hosts print the state of each host:

| state | meaning |
|---|---|
| `changed`, `unchanged` | the run completed; it made changes, or there were none to make |
| `pending` | it would change, and the run did not make the changes |
| `skipped` | a part of the host was skipped; `causes` say why |
| `returned` | its [ring](../how-to/rings.md) failed, and the host went back; `causes` say why |
| `failed`, `unreachable` | `causes` say why |
| `offline` | an [intermittent machine](../how-to/intermittent.md) is off, which is no failure |
| `stopped` | the run ended before this host was compared |

Every command has `--help`. For shell completion, add
`eval "$(_MIRRORFLEET_COMPLETE=bash_source mirrorfleet)"` to `~/.bashrc`, or the same with
`zsh_source` to `~/.zshrc`.
"""


def markdown() -> str:
    """Return the page: a list of the commands, and a section for each."""
    listed = [
        f"| [`{name}`](#mirrorfleet-{name}) | {short_help(loader)} |"
        for name, loader in COMMANDS.items()
    ]
    top = click.Context(group, info_name="mirrorfleet")
    sections = [line for name, loader in COMMANDS.items() for line in _section(top, name, loader())]
    return "\n".join([HEAD, "| command | what it does |", "|---|---|", *listed, *sections, ""])


def _section(top: click.Context, name: str, command: click.Command) -> Iterator[str]:
    """Yield the lines of one command, and of its subcommands."""
    context = click.Context(command, info_name=name, parent=top)
    yield f"\n## {context.command_path}\n"
    if isinstance(command, click.Group):
        yield inspect.cleandoc(command.help or "")
        for subcommand in command.commands.values():
            inner = click.Context(subcommand, info_name=subcommand.name, parent=context)
            yield f"\n### {inner.command_path}\n"
            yield from _command(inner, subcommand)
    else:
        yield from _command(context, command)


def _command(context: click.Context, command: click.Command) -> Iterator[str]:
    """Yield usage, help, parameters and examples."""
    yield f"    {context.command_path} {' '.join(command.collect_usage_pieces(context))}\n"
    yield inspect.cleandoc(command.help or "")
    yield "\n| argument or option | meaning |\n|---|---|"
    for parameter in command.params:
        if record := parameter.get_help_record(context):
            declaration, meaning = (" ".join(each.split()).replace("|", "\\|") for each in record)
            yield f"| `{declaration}` | {meaning} |"
    if isinstance(command, Command):
        yield "\nFor example:\n"
        yield from (f"    {example}" for example in command.examples)
