"""The option --gpus: a number of GPUs and their memory."""

from __future__ import annotations

import re

import click

LARGEST = 1024
"""Most GiB of a GPU, and most GPUs."""


class GpusType(click.ParamType[tuple[int, float | None]]):
    """A number of GPUs, and their memory in GiB if it is there: 4 or 4x80."""

    name = "gpus"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, float | None]:
        found = re.fullmatch(r"(\d{1,4})(?:[x*](\d{1,4}(?:\.\d+)?))?", str(value))
        if not found or not 1 <= int(found[1]) <= LARGEST or float(found[2] or 1) > LARGEST:
            self.fail(f"{value!r} is not a number of GPUs: write `--gpus 4x80`.", param, ctx)
        return int(found[1]), float(found[2]) if found[2] else None
