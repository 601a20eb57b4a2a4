"""Write a repository for a fleet of your own."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from click.core import ParameterSource

from mirrorfleet import __version__
from mirrorfleet.cli.command import Command, exclusive
from mirrorfleet.cli.gpus import GpusType
from mirrorfleet.cli.pages import editor_schema
from mirrorfleet.cli.release import requirement
from mirrorfleet.data import proposed

PACKAGE = Path(__file__).parents[1]
STARTER = PACKAGE / "data" / "starter"
RELEASE = re.compile(r"\b([A-Z]+)_RELEASE\b")
"""Where a starter file gets the release of a service that Mirrorfleet proposes."""

DEPLOY = '''\
"""{summary}

pyinfra inventories/{fleet}.py deploys/{name}.py
"""

from mirrorfleet.deploys.{name} import {name}

{name}()
'''


@click.command(
    "init",
    cls=Command,
    examples=(
        "mirrorfleet init fleet",
        "mirrorfleet init --local",
        "mirrorfleet init fleet --model Qwen/Qwen3-Coder-Next-FP8 --gpus 4x80",
    ),
)
@click.argument(
    "directory",
    metavar="[DIRECTORY]",
    default=".",
    type=click.Path(path_type=Path),
    help="The repository. Default: the current directory.",
)
@click.option(
    "--name",
    default="prod",
    show_default=True,
    metavar="NAME",
    help="Name of the fleet: the file is inventories/NAME.yml.",
)
@click.option(
    "--model", metavar="MODEL", help="A model as for `size`: the fleet file gets what it proposes."
)
@click.option("--gpus", type=GpusType(), metavar="NxGIB", help="GPUs of its host, such as 4x80.")
@click.option("--family", metavar="NAME", help="Model family. Default: by the model's name.")
@click.option(
    "--local",
    is_flag=True,
    help="Write only fleet.yml for this machine and you, from what is found here.",
)
@click.pass_context
def command(
    context: click.Context,
    directory: Path,
    name: str,
    model: str | None,
    gpus: tuple[int, float | None] | None,
    family: str | None,
    *,
    local: bool,
) -> int:
    """Write a repository for a fleet of your own: fleet file, inventory module, deploys, CI.

    Existing files stay as they are. If the fleet file exists, nothing is written.

    With `--local`, write the fleet of this machine alone: an Ollama that runs here, else one to
    install, LiteLLM, and Claude Code for you; and make its secrets.
    """
    if local:
        named = context.get_parameter_source("name") is ParameterSource.COMMANDLINE
        exclusive(local=True, name=named, model=model, gpus=gpus, family=family)
        from mirrorfleet.cli import init_local

        return init_local.write(directory)
    if (model is None) != (gpus is None) or (gpus and gpus[1] is None):
        raise click.UsageError("--model and --gpus belong together: add `--model M --gpus 4x80`.")
    if family and model is None:
        raise click.UsageError("--family is that of --model: add it, or remove `--family`.")
    if not re.fullmatch("[a-z0-9][a-z0-9-]*", name):
        return _refuse(f"--name {name!r}: use lower-case letters, digits and '-', such as team-a")
    if directory.suffix == ".yml":
        return _refuse(
            f"{directory}: init takes a directory. Write `mirrorfleet init --name {directory.stem}`"
        )
    if (fleet := directory / f"inventories/{name}.yml").exists():
        return _refuse(f"{fleet}: exists; nothing was written. Choose another --name")
    files = dict(_files(name))
    if model and gpus:
        # The roles import pyinfra, which takes a third of a second: without a model, init does not.
        from mirrorfleet.jobs import sizing

        request = sizing.Request(
            model, count=gpus[0], memory=gpus[1], family=family, written_to=str(fleet)
        )
        try:
            key = f"inventories/{name}.yml"
            files[key] = sizing.starter(files[key], request)
        except sizing.SizeError as error:
            return _refuse(str(error))
    try:
        for path, content in files.items():
            _write(directory / path, content)
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}")
    inside = "" if directory == Path() else f"cd {directory} && "
    print(f"Put your machines in, then: {inside}mirrorfleet check inventories/{name}.yml")
    return 0


def _files(name: str) -> Iterator[tuple[str, str]]:
    """Yield each file's path in the repository, and its content."""
    starter = {
        f"inventories/{name}.yml": "fleet.yml",
        f"inventories/{name}.py": "inventory.py",
        ".gitignore": "gitignore",
        ".github/workflows/fleet.yml": "workflow.yml",
        "locks/README.md": "locks.md",
    }
    for path, source in starter.items():
        text = (STARTER / source).read_text(encoding="utf-8").replace("NAME", name)
        yield path, RELEASE.sub(lambda found: proposed(found[1].lower()), text)
    for deploy in sorted((PACKAGE / "deploys").glob("[!_]*.py")):
        text = ast.get_docstring(ast.parse(deploy.read_text(encoding="utf-8"))) or ""
        summary = " ".join(text.split("\n\n")[0].split())
        yield (
            f"deploys/{deploy.name}",
            DEPLOY.format(summary=summary, fleet=name, name=deploy.stem),
        )
    yield "schemas/fleet.schema.json", editor_schema.text()
    template = (STARTER / "requirements.txt").read_text(encoding="utf-8")
    pinned = requirement()
    yield "requirements.txt", f"{pinned}\n" if pinned else template.replace("VERSION", __version__)


def _write(path: Path, content: str) -> None:
    if path.exists():
        print(f"{path}: exists, kept")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    print(f"{path}: written")


def _refuse(message: str) -> int:
    print(message, file=sys.stderr)
    return 1
