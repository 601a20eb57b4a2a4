"""The table of commands. No command is imported here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches

import click
from click.shell_completion import CompletionItem

from mirrorfleet import __version__


def check() -> click.Command:
    """Report every mistake of fleet files."""
    from mirrorfleet.cli.check import command

    return command


def show() -> click.Command:
    """Show the files that each host will get."""
    from mirrorfleet.cli.show import command

    return command


def why() -> click.Command:
    """Show where a value comes from."""
    from mirrorfleet.cli.why import command

    return command


def keys() -> click.Command:
    """List the keys of the gateways."""
    from mirrorfleet.cli.keys import command

    return command


def secrets() -> click.Command:
    """List the secrets of a fleet file."""
    from mirrorfleet.cli.secrets import command

    return command


def package() -> click.Command:
    """Write installers for machines without SSH."""
    from mirrorfleet.cli.package import command

    return command


def topology() -> click.Command:
    """Draw the fleet as a Mermaid flow chart."""
    from mirrorfleet.cli.topology import command

    return command


def monitoring() -> click.Command:
    """Write the configuration of Prometheus and Grafana."""
    from mirrorfleet.cli.monitoring import command

    return command


def fetch() -> click.Command:
    """Download the files that hosts will receive."""
    from mirrorfleet.cli.fetch import command

    return command


def lock() -> click.Command:
    """Lock a release: write its lock file and the names that it knows."""
    from mirrorfleet.cli.lock import command

    return command


def schema() -> click.Command:
    """Print the JSON schema of fleet files."""
    from mirrorfleet.cli.schema import command

    return command


def init() -> click.Command:
    """Write a repository for a fleet of your own."""
    from mirrorfleet.cli.init import command

    return command


def import_() -> click.Command:
    """Write a fleet file from what runs already."""
    from mirrorfleet.cli.import_ import command

    return command


def size() -> click.Command:
    """Propose how vLLM serves a model on given GPUs."""
    from mirrorfleet.cli.size import command

    return command


def docs() -> click.Command:
    """Print a page of the documentation."""
    from mirrorfleet.cli.docs import command

    return command


def plan() -> click.Command:
    """Show what `apply` would change."""
    from mirrorfleet.cli.live.plan import command

    return command


def apply() -> click.Command:
    """Make the fleet match its file."""
    from mirrorfleet.cli.live.apply import command

    return command


def verify() -> click.Command:
    """Run Claude Code as developers do, and report which layer fails."""
    from mirrorfleet.cli.live.verify import command

    return command


def status() -> click.Command:
    """Show what runs on each host, since when, and what differs."""
    from mirrorfleet.cli.live.status import command

    return command


def audit() -> click.Command:
    """Compare releases with known advisories."""
    from mirrorfleet.cli.live.audit import command

    return command


def usage() -> click.Command:
    """Report turns, tokens and costs by person, group, model or day."""
    from mirrorfleet.cli.live.usage import command

    return command


def logs() -> click.Command:
    """Show what the services log."""
    from mirrorfleet.cli.live.logs import command

    return command


def rollback() -> click.Command:
    """Return a service to its last other verified generation."""
    from mirrorfleet.cli.live.rollback import command

    return command


def drivers() -> click.Command:
    """Install NVIDIA's driver."""
    from mirrorfleet.cli.live.drivers import command

    return command


def weights() -> click.Command:
    """Verify or remove weights on engine hosts."""
    from mirrorfleet.cli.live.weights import command

    return command


def remove() -> click.Command:
    """Remove Mirrorfleet from hosts, or from developers' machines."""
    from mirrorfleet.cli.live.remove import command

    return command


Loader = Callable[[], click.Command]

OFFLINE: Mapping[str, Loader] = {
    "init": init,
    "import": import_,
    "check": check,
    "show": show,
    "why": why,
    "keys": keys,
    "secrets": secrets,
    "topology": topology,
    "monitoring": monitoring,
    "package": package,
    "fetch": fetch,
    "lock": lock,
    "schema": schema,
    "size": size,
    "docs": docs,
}
"""Commands that contact no host, by name, in the order of `--help`."""

LIVE: Mapping[str, Loader] = {
    "plan": plan,
    "apply": apply,
    "verify": verify,
    "status": status,
    "logs": logs,
    "usage": usage,
    "audit": audit,
    "rollback": rollback,
    "drivers": drivers,
    "weights": weights,
    "remove": remove,
}
"""Commands that connect to hosts."""

COMMANDS: Mapping[str, Loader] = {**OFFLINE, **LIVE}
"""Every command by name, in the order of `--help`. A loader's docstring is its short help."""


class LazyGroup(click.Group):
    """A group whose help and completion need no command's module."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        loader = COMMANDS.get(cmd_name)
        return loader() if loader else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            name = error.command_name
            closest = get_close_matches(name, COMMANDS, n=1)
            raise click.NoSuchCommand(name, possibilities=closest, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, table in (("Commands on your machine", OFFLINE), ("Commands on hosts", LIVE)):
            with formatter.section(title):
                formatter.write_dl([(name, short_help(loader)) for name, loader in table.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = [
            CompletionItem(name, help=short_help(loader))
            for name, loader in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


def short_help(loader: Loader) -> str:
    """Return one sentence about a command, without its full stop."""
    return (loader.__doc__ or "").rstrip(".")


@click.group(
    cls=LazyGroup,
    epilog="Each command has its own help: mirrorfleet check --help",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="mirrorfleet", message="%(prog)s %(version)s")
def group() -> None:
    """Provision GPU hosts, LiteLLM gateways and Claude Code clients from one fleet file.

    FILE, the fleet file, may be left out: it is then $MIRRORFLEET_FILE, or the only fleet file in
    the current directory and inventories/.
    """
