"""Write a fleet file from what runs already."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import yaml

from mirrorfleet.cli.command import Command
from mirrorfleet.data import load_typed


class Answer(click.ParamType[tuple[str, Any]]):
    """KEY=VALUE: a key of the fleet file with dots, and its value in YAML."""

    name = "KEY=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        key, equals, text = str(value).partition("=")
        try:
            return key.strip(), load_typed(text) if equals and key.strip() else self.fail("")
        except (yaml.YAMLError, click.BadParameter):
            example = "hosts.gateway.address=10.0.2.11"
            self.fail(f"a key and its value are needed, as in `--set {example}`", param, ctx)


@click.command(
    "import",
    cls=Command,
    examples=(
        "mirrorfleet import litellm/config.yaml",
        "mirrorfleet import compose.yml config.yaml ~/.claude/settings.json",
        "mirrorfleet import vllm.service --set hosts.gpu.address=10.0.1.11",
        "mirrorfleet import - -o -",
    ),
)
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    metavar="PATH...",
    type=click.Path(),
    help="LiteLLM's config.yaml, compose files, vllm commands and units, Modelfiles, "
    "settings.json, directories with them, or - for standard input.",
)
@click.option(
    "-o",
    "--output",
    default="fleet.yml",
    show_default=True,
    metavar="FILE",
    help="The fleet file to write; - for standard output.",
)
@click.option(
    "--name", default="imported", show_default=True, metavar="NAME", help="Name of the fleet."
)
@click.option(
    "--set",
    "answers",
    multiple=True,
    type=Answer(),
    metavar="KEY=VALUE",
    help="A value that the input does not have, by its key in the fleet file. Can be repeated.",
)
@click.option("--force", is_flag=True, help="Replace the output file if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    paths: tuple[str, ...],
    output: str,
    name: str,
    answers: tuple[tuple[str, Any], ...],
    *,
    force: bool,
    as_json: bool,
) -> int:
    """Write a fleet file from what runs already.

    Every value of the input has one fate, which the report states with its line: taken, folded,
    derived, secret, left out, or open. Secrets are not copied and not printed: the fleet file
    refers to variables. The exit code is 1 while something is open.
    """
    from mirrorfleet import importing
    from mirrorfleet.importing import report

    target = Path("fleet.yml" if output == "-" else output)
    if output != "-" and not force and (target.exists() or target.is_symlink()):
        print(
            f"{output}: exists; nothing was written. Add --force, or choose another -o",
            file=sys.stderr,
        )
        return 1
    standard_input = sys.stdin.read() if "-" in paths else ""
    try:
        result = importing.run(
            paths, name=name, target=target, answers=answers, standard_input=standard_input
        )
        if output == "-":
            print(result.text, end="")
        else:
            target.write_text(result.text, encoding="utf-8")
    except importing.NotReadable as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except Exception as error:
        print(_defect(error), file=sys.stderr)
        return 1
    stream = sys.stderr if output == "-" else sys.stdout
    if as_json:
        print(json.dumps(report.plain(result), indent=2), file=stream)
    else:
        print("\n".join(report.lines(result)), file=stream)
        if output != "-":
            print(f"{output}: written. Next: mirrorfleet check {output}", file=stream)
    return 1 if result.is_open else 0


def _defect(error: Exception) -> str:
    """Describe a defect by its place. Its message and its traceback could have a secret."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"
    return (
        f"import failed in {place} with {type(error).__name__}. Nothing was written. "
        "This is a defect of mirrorfleet: report this line, without your files."
    )
