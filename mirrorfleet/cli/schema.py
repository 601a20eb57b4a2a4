"""Print the JSON schema of fleet files, or a page of docs/ that is generated."""

from __future__ import annotations

import click

from mirrorfleet.cli.command import Command, exclusive
from mirrorfleet.cli.pages import commands, editor_schema, families, matrix, reference


@click.command(
    "schema",
    cls=Command,
    examples=("mirrorfleet schema >schemas/fleet.schema.json",),
)
@click.option("--reference", "keys", is_flag=True, help="Print the page of keys instead.")
@click.option("--families", "models", is_flag=True, help="Print the page of families instead.")
@click.option("--commands", "cli", is_flag=True, help="Print the page of commands instead.")
@click.option("--matrix", "proved", is_flag=True, help="Print the page of tested releases instead.")
def command(*, keys: bool, models: bool, cli: bool, proved: bool) -> int:
    """Print the JSON schema of fleet files, with which editors complete and explain them."""
    exclusive(reference=keys, families=models, commands=cli, matrix=proved)
    if models:
        text = families.markdown()
    elif cli:
        text = commands.markdown()
    elif proved:
        text = matrix.markdown()
    else:
        text = reference.markdown() if keys else editor_schema.text()
    print(text, end="")
    return 0
