"""Modelfiles, as Ollama's own `ollama create` reads them, turned into what its API is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mirrorfleet.config import reading

WORDS = ("template", "system", "renderer", "parser", "requires")
"""Instructions with one text; a later one replaces an earlier."""

PARAMETERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(
        ("num_keep", "seed", "num_predict", "top_k", "repeat_last_n", "num_batch", "num_gpu"), int
    ),
    **dict.fromkeys(("main_gpu", "num_thread"), int),
    **dict.fromkeys(("top_p", "min_p", "repeat_penalty", "temperature"), float),
    **dict.fromkeys(("presence_penalty", "frequency_penalty"), float),
    "use_mmap": lambda said: {"true": True, "false": False}[said.lower()],
    "stop": str,
}
"""Parameters and how they are read. `num_ctx` is none of them: the fleet file says the window."""

INSTRUCTION = re.compile(r"\s*([A-Za-z]+)[ \t]+(.*)", re.DOTALL)


class NotUsable(Exception):
    """Why a Modelfile cannot be used, after its name in a sentence, and what to do."""

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
    """Return what a Modelfile in ``directory`` says, by the names of the API.

    Of ``files`` and ``adapters``, which the API calls by their digests, the paths. Raises
    ``NotUsable``.
    """
    body: dict[str, Any] = {"parameters": {}}
    for line, name, said in _instructions(text):
        match name:
            case "from" if _is_file(said):
                body.pop("from", None)
                body["files"] = _gguf(line, directory / Path(said).expanduser())
            case "from":
                body.pop("files", None)
                body["from"] = said
            case "parameter":
                _parameter(line, said, body["parameters"])
            case "message":
                role, _, content = said.partition(" ")
                message = {"role": role.lower(), "content": _unquoted(content.strip())}
                body.setdefault("messages", []).append(message)
            case "license":
                body.setdefault("license", []).append(said)
            case "adapter":
                body["adapters"] = _gguf(line, directory / Path(said).expanduser())
            case _ if name in WORDS:
                body[name] = said
            case _:
                raise NotUsable(f"has '{name.upper()}' in line {line}, which is no instruction.")
    if not body.keys() & {"from", "files"}:
        raise NotUsable("has no FROM.", "Write FROM and a tag of the registry, or a GGUF file.")
    return body


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield each instruction: its line, its name in small letters, and what follows."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        first, line = at + 1, lines[at]
        at += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        while line.count('"""') == 1:
            if at == len(lines):
                raise NotUsable(f'has a """ in line {first} that never ends.')
            line += "\n" + lines[at]
            at += 1
        found = INSTRUCTION.match(line)
        if not found:
            raise NotUsable(f"has '{line.strip()[:40]}' in line {first}: no instruction.")
        yield first, found[1].lower(), _unquoted(found[2].strip())


def _unquoted(said: str) -> str:
    for quote in ('"""', '"'):
        if len(said) >= 2 * len(quote) and said.startswith(quote) and said.endswith(quote):
            return said[len(quote) : -len(quote)]
    return said


def _is_file(said: str) -> bool:
    return said.startswith((".", "/", "~")) or said.lower().endswith((".gguf", ".safetensors"))


def _gguf(line: int, path: Path) -> dict[str, str]:
    """Return a file of weights by its name. It starts at the Modelfile, or at a home directory."""
    try:
        with reading.opened(path) as file:
            magic = file.read(4)
    except reading.Unreadable as error:
        what = f"names {path} in line {line}: {error.mistake}"
        raise NotUsable(what, error.remedy) from None
    if magic != b"GGUF":
        raise NotUsable(
            f"names {path} in line {line}, which is no GGUF file.",
            "Convert it with llama.cpp's convert_hf_to_gguf.py, or name a tag of the registry.",
        )
    return {path.name: str(path.resolve())}


def _parameter(line: int, said: str, parameters: dict[str, Any]) -> None:
    name, _, value = said.partition(" ")
    name, value = name.lower(), _unquoted(value.strip())
    if name == "num_ctx":
        raise NotUsable(
            f"says num_ctx in line {line}.", "Remove it: the window is the model's 'context'."
        )
    if name not in PARAMETERS:
        raise NotUsable(f"has '{name}' in line {line}, which is no parameter of a model.")
    try:
        read = PARAMETERS[name](value)
    except (ValueError, KeyError):
        raise NotUsable(f"says '{value}' for '{name}' in line {line}.") from None
    if name == "stop":
        parameters.setdefault(name, []).append(read)
    else:
        parameters[name] = read
