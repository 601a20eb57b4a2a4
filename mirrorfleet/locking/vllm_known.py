"""Pure: the options, parsers and variables of a release of vLLM, from the source in its wheel.

Nothing is installed: a CUDA build would take 9 GB, and it does not start without a GPU.
"""

from __future__ import annotations

import ast
import re
import zipfile
from collections.abc import Iterator
from typing import IO

import yaml

OPTIONS = re.compile(
    r"vllm/(engine/arg_utils|entrypoints/(.+/)?cli_args|entrypoints/cli/serve|utils/argparse_utils)"
    r"\.py"
)
"""Files that add options to `vllm serve`."""

Names = dict[str, list[str]]


class Changed(ValueError):
    """The source of a release is not laid out as that of the releases before."""


def names(wheel: IO[bytes]) -> Names:
    """Return the names by kind. Raises ``Changed`` if a kind cannot be found in the source."""
    with zipfile.ZipFile(wheel) as archive:
        files = [name for name in archive.namelist() if OPTIONS.fullmatch(name)]
        trees = [ast.parse(archive.read(name)) for name in files]
        found = {
            "arguments": sorted({option for tree in trees for option in _options(tree)}),
            "tool_parsers": _keys(archive, "tool_parsers/__init__", "_TOOL_PARSERS_TO_REGISTER"),
            "reasoning_parsers": _keys(
                archive, "reasoning/__init__", "_REASONING_PARSERS_TO_REGISTER"
            ),
            "variables": [
                name
                for name in _keys(archive, "envs", "environment_variables")
                if name.startswith("VLLM_")
            ],
        }
    for kind, known in found.items():
        if len(known) < LEAST:
            raise Changed(f"only {len(known)} {kind} of vLLM were found in its source")
    return found


LEAST = 20
"""Fewer names of a kind mean that the source has moved: 0.32.0 has 40 parsers of thinking."""


def _options(tree: ast.Module) -> Iterator[str]:
    """Yield the options that a file adds by name, and those from the fields of a frontend."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
            for argument in node.args:
                if isinstance(argument, ast.Constant) and str(argument.value).startswith("--"):
                    yield str(argument.value).removeprefix("--")
        elif isinstance(node, ast.ClassDef) and node.name.endswith("FrontendArgs"):
            yield "help"
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    yield field.target.id.replace("_", "-")


def _keys(archive: zipfile.ZipFile, module: str, table: str) -> list[str]:
    """Return the keys of a dictionary at the top of a module."""
    try:
        body = ast.parse(archive.read(f"vllm/{module}.py")).body
    except KeyError:
        raise Changed(f"vLLM has no file vllm/{module}.py") from None
    for node in body:
        if isinstance(node, ast.Assign):
            targets: list[ast.expr] = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        else:
            continue
        is_table = table in [getattr(target, "id", "") for target in targets]
        if is_table and isinstance(node.value, ast.Dict):
            keys = [key.value for key in node.value.keys if isinstance(key, ast.Constant)]
            return sorted(map(str, keys))
    raise Changed(f"vllm/{module}.py has no table {table}")


def text(release: str, found: Names) -> str:
    """Return the content of a data file, with one name per line for readable diffs of releases."""
    head = f"# Names that vLLM {release} knows. Written by `mirrorfleet lock`; not for editing.\n"
    return head + "".join(f"\n{yaml.safe_dump({kind: known})}" for kind, known in found.items())
