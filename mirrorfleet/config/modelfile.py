"""Convert Modelfiles to requests of Ollama's API, in the way of `ollama create`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mirrorfleet.config import reading

WORDS = ("template", "system", "renderer", "parser", "requires")
"""Instructions with one value; a later one replaces an earlier one."""

PARAMETERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(
        ("num_keep", "seed", "num_predict", "top_k", "repeat_last_n", "num_batch", "num_gpu"), int
    ),
    **dict.fromkeys(("main_gpu", "num_thread"), int),
    **dict.fromkeys(("top_p", "min_p", "repeat_penalty", "temperature"), float),
    **dict.fromkeys(("presence_penalty", "frequency_penalty"), float),
    "use_mmap": lambda value: {"true": True, "false": False}[value.lower()],
    "stop": str,
}
"""Parameters and their converters. `num_ctx` is missing: `context` in the fleet file sets it."""

INSTRUCTION = re.compile(r"\s*([A-Za-z]+)[ \t]+(.*)", re.DOTALL)


class NotUsable(Exception):
    """A Modelfile with a mistake; ``mistake`` is a predicate, for use after the file's name."""

    def __init__(self, mistake: str, remedy: str = "") -> None:
        super().__init__(f"{mistake} {remedy}".rstrip())
        self.mistake, self.remedy = mistake, remedy


def read(path: str | Path) -> dict[str, Any]:
    """Return the body of a request to /api/create, without the model's name.

    Raises ``NotUsable``.
    """
    try:
        text = reading.text(path)
    except reading.Unreadable as error:
        raise NotUsable(error.mistake, error.remedy) from None
    return parse(text, Path(path).parent)


def parse(text: str, directory: Path = Path()) -> dict[str, Any]:
    """Return the content of a Modelfile in ``directory``, by the names of the API.

    ``files`` and ``adapters`` have paths, where the API has digests. Raises ``NotUsable``.
    """
    body: dict[str, Any] = {"parameters": {}}
    for line, name, value in _instructions(text):
        match name:
            case "from" if _is_file(value):
                body.pop("from", None)
                body["files"] = _gguf(line, directory / Path(value).expanduser())
            case "from":
                body.pop("files", None)
                body["from"] = value
            case "parameter":
                _parameter(line, value, body["parameters"])
            case "message":
                role, _, content = value.partition(" ")
                message = {"role": role.lower(), "content": _unquoted(content.strip())}
                body.setdefault("messages", []).append(message)
            case "license":
                body.setdefault("license", []).append(value)
            case "adapter":
                body["adapters"] = _gguf(line, directory / Path(value).expanduser())
            case _ if name in WORDS:
                body[name] = value
            case _:
                raise NotUsable(f"has the unknown instruction '{name.upper()}' in line {line}.")
    if not body.keys() & {"from", "files"}:
        raise NotUsable("has no FROM.", "Add FROM with a tag of the registry or a GGUF file.")
    return body


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield each instruction: its line, its name in lower case, and its value."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        first, line = at + 1, lines[at]
        at += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        while line.count('"""') == 1:
            if at == len(lines):
                raise NotUsable(f'does not close the """ in line {first}.')
            line += "\n" + lines[at]
            at += 1
        found = INSTRUCTION.match(line)
        if not found:
            raise NotUsable(f"has no instruction in line {first}: '{line.strip()[:40]}'.")
        yield first, found[1].lower(), _unquoted(found[2].strip())


def _unquoted(value: str) -> str:
    for quote in ('"""', '"'):
        if len(value) >= 2 * len(quote) and value.startswith(quote) and value.endswith(quote):
            return value[len(quote) : -len(quote)]
    return value


def _is_file(value: str) -> bool:
    return value.startswith((".", "/", "~")) or value.lower().endswith((".gguf", ".safetensors"))


def _gguf(line: int, path: Path) -> dict[str, str]:
    """Return name and path of a file of weights. A relative path starts at the Modelfile."""
    try:
        with reading.opened(path) as file:
            magic = file.read(4)
    except reading.Unreadable as error:
        what = f"names {path} in line {line}: {error.mistake}"
        raise NotUsable(what, error.remedy) from None
    if magic != b"GGUF":
        raise NotUsable(
            f"names {path} in line {line}, which is not a GGUF file.",
            "Convert it with llama.cpp's convert_hf_to_gguf.py, or use a tag of the registry.",
        )
    return {path.name: str(path.resolve())}


def _parameter(line: int, text: str, parameters: dict[str, Any]) -> None:
    name, _, value = text.partition(" ")
    name, value = name.lower(), _unquoted(value.strip())
    if name == "num_ctx":
        raise NotUsable(
            f"sets num_ctx in line {line}.", "Remove it: the model's 'context' sets the window."
        )
    if name not in PARAMETERS:
        raise NotUsable(f"sets the unknown parameter '{name}' in line {line}.")
    try:
        read = PARAMETERS[name](value)
    except (ValueError, KeyError):
        raise NotUsable(f"sets '{name}' to the invalid value '{value}' in line {line}.") from None
    if name == "stop":
        parameters.setdefault(name, []).append(read)
    else:
        parameters[name] = read
