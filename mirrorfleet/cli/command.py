"""What all commands have in common: examples in the help, and mistakes printed, not raised."""

from __future__ import annotations

from typing import Any

import click

from mirrorfleet.config.problems import FleetError


class _WithExamples(click.Command):
    """A command whose help ends with ``examples``, one per line."""

    def __init__(self, *arguments: Any, examples: tuple[str, ...], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"  {example}\n")


class Group(_WithExamples, click.Group):
    """Commands below one name."""


class Command(_WithExamples):
    """A command that does something."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments. A ``UsageError`` names this command, not the program."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and return its exit code: 1 for a fleet file with mistakes."""
        try:
            return super().invoke(ctx)
        except FleetError as error:
            click.echo(error, err=True)
            return 1


def exclusive(**given: object) -> None:
    """Refuse options that exclude each other. Each is named as its parameter is."""
    names = [f"--{name}" for name, value in given.items() if value]
    if len(names) > 1:
        raise click.UsageError(f"{' and '.join(names)} exclude each other: remove `{names[-1]}`.")
