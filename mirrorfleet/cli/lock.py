"""Lock another release."""

from __future__ import annotations

import re
from pathlib import Path

import click

from mirrorfleet.cli.command import Command

SERVICES = ("litellm", "vllm", "claude", "ollama")


@click.command(
    "lock",
    cls=Command,
    examples=(
        "mirrorfleet lock litellm 1.109.1",
        "mirrorfleet lock vllm 0.32.0-cpu",
        "mirrorfleet lock ollama 0.40.1 --from sha256sum.txt",
        "mirrorfleet lock --without-cooldown 'a CVE is used' claude 2.1.340",
    ),
)
@click.argument(
    "service",
    type=click.Choice(SERVICES),
    help="litellm, vllm, claude or ollama.",
)
@click.argument(
    "release",
    metavar="RELEASE",
    help="An exact release, such as 1.109.1; vLLM's build for CPUs ends in -cpu.",
)
@click.argument(
    "packages",
    metavar="[PACKAGE...]",
    nargs=-1,
    help="With --without-cooldown: further packages that may be of any age.",
)
@click.option(
    "--without-cooldown",
    metavar="REASON",
    help="Allow a release that is younger than a week. The lock file records the reason.",
)
@click.option(
    "--from",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="For ollama: the sha256sum.txt of the release, instead of a download.",
)
def command(
    service: str,
    release: str,
    packages: tuple[str, ...],
    without_cooldown: str | None,
    file: Path | None,
) -> int:
    """Lock a release: write its lock file and the names that it knows, and say what it changes.

    In a fleet's repository, the files go into `locks/`. Only packages that are at least a week old
    enter a lock file. No host is contacted.
    """
    build = "(-cpu)?" if service == "vllm" else ""
    if not re.fullmatch(rf"\d+(\.\d+)+(\.post\d+)?{build}", release):
        raise click.UsageError(f"{release!r} is not an exact release such as 1.2.3.")
    if without_cooldown is not None and len(without_cooldown.split()) < 3:
        raise click.UsageError("--without-cooldown needs a reason of at least three words.")
    if packages and (without_cooldown is None or service not in ("litellm", "vllm")):
        raise click.UsageError(
            "packages after the release belong to --without-cooldown of litellm or vllm."
        )
    if file and service != "ollama":
        raise click.UsageError("--from is for ollama: other releases come from their registries.")
    # It imports pyinfra, which takes a third of a second.
    from mirrorfleet.locking.command import main

    return main(service, release, early=packages, reason=without_cooldown, file=file)
