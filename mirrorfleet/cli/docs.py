"""Print a page of the documentation, which is part of the package."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.markdown import Markdown

from mirrorfleet import terminal
from mirrorfleet.cli.command import Command
from mirrorfleet.config.problems import did_you_mean

DOCS = Path(__file__).parents[1] / "docs"

FOLDERS = ("tutorials", "how-to", "reference", "explanation", "contributing")
"""In the order in which a page is looked for if its folder is not given."""


@click.command(
    "docs",
    cls=Command,
    examples=(
        "mirrorfleet docs",
        "mirrorfleet docs database",
        "mirrorfleet docs explanation/database",
    ),
)
@click.argument(
    "page",
    required=False,
    help="A name from the list, with or without its folder. Default: print the list.",
)
def command(page: str | None) -> int:
    """Print a page of the documentation, or the list of all pages.

    The page is Markdown if the output is not a terminal.
    """
    pages = {
        str(file.relative_to(DOCS).with_suffix("")): file
        for folder in FOLDERS
        for file in sorted((DOCS / folder).glob("*.md"))
    }
    if page is None:
        width = max(map(len, pages))
        for name, file in pages.items():
            title = file.read_text("utf-8").partition("\n")[0].removeprefix("# ")
            click.echo(f"{name:{width}}  {title}")
        return 0
    name = page.removeprefix("docs/").removesuffix(".md")
    found = [file for key, file in pages.items() if name in (key, key.partition("/")[2])]
    if not found:
        names = {key.partition("/")[2] for key in pages}
        hint = did_you_mean(name, names) or "`mirrorfleet docs` lists the pages."
        click.echo(f"There is no page '{page}'. {hint}", err=True)
        return 1
    text = found[0].read_text("utf-8")
    if sys.stdout.isatty():
        terminal.console().print(Markdown(text))
    else:
        click.echo(text, nl=False)
    return 0
