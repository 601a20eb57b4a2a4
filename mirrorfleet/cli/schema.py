"""Print the JSON schema of fleet files, or a page of docs/ that is generated."""

from __future__ import annotations

import click

from mirrorfleet.cli.command import Command, exclusive
from mirrorfleet.cli.pages import commands, families, reference
from mirrorfleet.config.schema import SCHEMA


@click.command(
    "schema",
    cls=Command,
    examples=("mirrorfleet schema >schemas/fleet.schema.json",),
)
@click.option("--reference", "keys", is_flag=True, help="Print the page of keys instead.")
@click.option("--families", "models", is_flag=True, help="Print the page of families instead.")
@click.option("--commands", "cli", is_flag=True, help="Print the page of commands instead.")
def command(*, keys: bool, models: bool, cli: bool) -> int:
    """Print the JSON schema of fleet files, with which editors complete and explain them."""
    exclusive(reference=keys, families=models, commands=cli)
    if models:
        text = families.markdown()
    elif cli:
        text = commands.markdown()
    else:
        text = reference.markdown() if keys else SCHEMA.read_text(encoding="utf-8")
    print(text, end="")
    return 0
