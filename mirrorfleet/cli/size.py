"""Propose how vLLM serves a model on given GPUs."""

from __future__ import annotations

import math

import click

from mirrorfleet.cli.command import Command
from mirrorfleet.cli.gpus import LARGEST, GpusType


@click.command(
    "size",
    cls=Command,
    examples=(
        "mirrorfleet size Qwen/Qwen3-Coder-Next-FP8 --gpus 4x80",
        "mirrorfleet size ../weights/coder --gpus 2 --memory 139.8",
        "mirrorfleet size coder --fleet inventories/prod.yml --host gpu-a",
    ),
)
@click.argument(
    "model",
    help="A folder with config.json, a repository of the hub, or a model of the fleet file.",
)
@click.option("--fleet", "fleet_file", metavar="FILE", type=click.Path(), help="The fleet file.")
@click.option("--host", metavar="NAME", help="The host of the fleet file: its free GPUs.")
@click.option("--gpus", type=GpusType(), metavar="NxGIB", help="GPUs of one host, such as 4x80.")
@click.option(
    "--memory",
    type=click.FloatRange(0, LARGEST, min_open=True),
    metavar="GIB",
    help="Memory of a GPU: what nvidia-smi reports, divided by 1024.",
)
@click.option("--revision", metavar="COMMIT", help="Revision of the repository. Default: main.")
@click.option("--family", metavar="NAME", help="Model family. Default: by the model's name.")
@click.option(
    "--context",
    type=click.IntRange(4096),
    metavar="TOKENS",
    help="Context window. Default: the longest that fits.",
)
@click.option(
    "--windows",
    type=click.IntRange(1, 10_000),
    default=2,
    show_default=True,
    metavar="N",
    help="Full windows that must fit at the same time.",
)
@click.option(
    "--kv-cache",
    type=click.Choice(["auto", "fp8"]),
    help="Data type of the KV cache. Default: fp8 only if it is needed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the proposal as JSON, in bytes.")
def command(
    model: str,
    fleet_file: str | None,
    host: str | None,
    gpus: tuple[int, float | None] | None,
    memory: float | None,
    revision: str | None,
    family: str | None,
    context: int | None,
    windows: int,
    kv_cache: str | None,
    *,
    as_json: bool,
) -> int:
    """Propose how vLLM serves a model on given GPUs, with the arithmetic and YAML to paste.

    It reads config.json and the index of the weights, never the weights. A repository is asked at
    `hub.url` of the fleet file with `hub.token`, else at $HF_ENDPOINT with $HF_TOKEN. No host is
    contacted.

    The exit code is 1 if the model does not fit. Then the message says how many GPUs it needs.
    """
    count, each = gpus or (None, None)
    if each and memory and not math.isclose(each, memory):
        raise click.UsageError(
            f"--gpus says {each:g} GiB, --memory says {memory:g}: remove `--memory {memory:g}`."
        )
    if host and not fleet_file:
        raise click.UsageError("--host needs the fleet file: add `--fleet FILE`.")
    if not host and (count is None or not (each or memory)):
        raise click.UsageError(
            "name the GPUs: `--gpus 4x80`, or a host with `--fleet FILE --host NAME`."
        )
    # The roles import pyinfra, which takes a third of a second: `--help` does without.
    from mirrorfleet.jobs import sizing

    request = sizing.Request(
        model=model,
        fleet_file=fleet_file,
        host=host,
        count=count,
        memory=each or memory,
        revision=revision,
        family=family,
        context=context,
        windows=windows,
        kv_cache_dtype=kv_cache,
    )
    return sizing.main(request, as_json=as_json)
