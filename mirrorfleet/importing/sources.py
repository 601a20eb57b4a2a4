"""Find and read the files of an import, and recognize what each of them is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.config import reading
from mirrorfleet.importing import scripts, words
from mirrorfleet.importing.documents import read_json, read_yaml
from mirrorfleet.importing.nodes import Node, NotReadable, Trees

LARGEST = 4 * 1024**2
"""Most bytes of one file."""

KINDS = (
    *("LiteLLM", "gateway", "compose", "unit", "script", "Modelfile", "Claude Code", "variables"),
)


OWN = ("keys.json", "clients.json", "limits.json", "usage.json")
"""Files beside the configuration of a gateway of Mirrorfleet's."""


@dataclass(frozen=True)
class Source:
    """One file: its kind of ``KINDS``, its tree, and where it is.

    ``host`` is the machine that it came from, if a bundle says so.
    """

    kind: str
    tree: Node
    path: Path
    host: str = ""

    @property
    def name(self) -> str:
        return self.path.name


class Sources:
    """Reads each file once. ``found`` has them in order, also those that others name."""

    def __init__(self) -> None:
        self.trees = Trees()
        self.found: list[Source] = []
        self._texts: dict[Path, str] = {}
        self._hosts: dict[Path, str] = {}

    def add(self, path: str, standard_input: str = "") -> None:
        """Read a file, a directory, or ``-`` for standard input. Raises ``NotReadable``."""
        if path == "-":
            self._bundle(standard_input, "standard input")
            return
        if Path(path).is_dir():
            self._directory(Path(path))
            return
        text = self._text(Path(path))
        if _HEADER.match(text):
            self._bundle(text, path)
        else:
            self._add(Path(path), text)

    def kind(self, kind: str) -> list[Source]:
        """Return the files of a kind that are read so far."""
        return [source for source in self.found if source.kind == kind]

    def file(self, near: Source, name: str) -> Source | None:
        """Return the file that another one names, ``None`` without one that import knows."""
        path = Path(name) if name.startswith("/") else near.path.parent / name
        for source in self.found:
            if source.path == path or (name.startswith("/") and source.path.as_posix() == name):
                return source
        if self._texts or not path.is_file():
            return None
        try:
            return self._add(path, self._text(path))
        except NotReadable:
            return None

    def variables(self, near: Source, name: str) -> Source | None:
        """Return a file of variables that another file names."""
        path = Path(name.removeprefix("-"))
        if near.host and path.is_absolute():
            path = Path(near.host) / str(path).lstrip("/")
        path = path if near.host or path.is_absolute() else near.path.parent / path
        text = self._texts.get(path)
        if text is None and not self._texts and path.is_file():
            text = self._text(path)
        if text is None or any(source.path == path for source in self.found):
            return next((each for each in self.found if each.path == path), None)
        source = Source("variables", words.environment(self.trees, text, str(path)), path)
        self.found.append(source)
        return source

    def _text(self, path: Path) -> str:
        try:
            return reading.text(path, LARGEST)
        except reading.Unreadable as error:
            raise NotReadable(str(path), 0, error.message) from None

    def _directory(self, path: Path) -> None:
        known = [*_of_interest(path)]
        if not known:
            raise NotReadable(str(path), 0, "a directory without a file that import knows")
        for each in known:
            self._add(each, self._text(each))

    def _bundle(self, text: str, name: str) -> None:
        """Read the output of `mirrorfleet show`, or of `tail -n +1 FILE FILE`."""
        parts = list(_HEADER.finditer(text))
        if not parts:
            self._add(Path(name), text)
            return
        ends = [part.start() for part in parts[1:]] + [len(text)]
        contents = {}
        for part, end in zip(parts, ends, strict=True):
            path = Path(part["path"].strip())
            path = Path(part["host"]) / str(path).lstrip("/") if part["host"] else path
            contents[path] = text[part.end() : end]
            self._hosts[path] = part["host"] or ""
        self._texts |= contents
        for path, content in contents.items():
            kind = kind_of(path, content)
            is_settings = path.name.startswith(("settings", "managed-settings"))
            is_settings = is_settings or path.parent.name == "managed-settings.d"
            is_read = kind in ("LiteLLM", "gateway", "compose", "unit", "Modelfile")
            if is_read or (kind and is_settings):
                self._add(path, content)

    def _add(self, path: Path, text: str) -> Source:
        for source in self.found:
            if source.path == path:
                return source
        kind = kind_of(path, text)
        file = str(path)
        if kind == "fleet":
            raise NotReadable(file, 0, "is a fleet file: run `mirrorfleet check`")
        if not kind:
            known = (
                "a LiteLLM config.yaml, a compose file, a unit, a vllm command, a Modelfile, "
                "settings.json"
            )
            raise NotReadable(file, 0, f"none of the kinds that import knows: {known}")
        tree = self._tree(kind, text, file)
        source = Source(kind, tree, path, self._hosts.get(path, ""))
        self.found.append(source)
        drop_ins = path.with_name(f"{path.name}.d")
        if kind == "unit" and not self._texts and drop_ins.is_dir():
            for each in sorted(drop_ins.glob("*.conf")):
                self._add(each, self._text(each))
        return source

    def _tree(self, kind: str, text: str, file: str) -> Node:
        match kind:
            case "Claude Code" | "gateway":
                return read_json(self.trees, text, file)
            case "unit":
                return words.unit(self.trees, text, file)
            case "script":
                return scripts.script(self.trees, text, file)
            case "Modelfile":
                return words.modelfile(self.trees, text, file)
            case "variables":
                return words.environment(self.trees, text, file)
        return read_yaml(self.trees, text, file, fill=kind == "compose")


_HEADER = re.compile(
    r"^==> (?:(?P<host>[a-z0-9][a-z0-9.-]*): )?(?P<path>/?\S.*?) <==\n", re.MULTILINE
)

_LITELLM = re.compile(
    r"^(model_list|litellm_settings|router_settings|general_settings|guardrails|environment_variables"
    r"|include|mcp_servers|search_tools|credential_list)\s*:",
    re.MULTILINE,
)
_COMMAND = re.compile(
    r"\b(vllm serve|vllm\.entrypoints|vllm/vllm-openai|ollama serve)\b|OLLAMA_\w+="
)


def kind_of(path: Path, text: str) -> str:
    """Return the kind of a file by its content; "fleet" for a fleet file, else ""."""
    if path.name in OWN and "litellm" in path.parts:
        return "gateway"
    if re.match(r"\ufeff?\s*\{(?!\{)", text):
        return "Claude Code"
    if re.search(r"^version\s*:\s*1\s*(#.*)?$", text, re.MULTILINE) and re.search(
        r"^hosts\s*:", text, re.MULTILINE
    ):
        return "fleet"
    if re.search(r"^\[(Service|Unit)\]", text, re.MULTILINE):
        return "unit"
    if re.search(r"^services\s*:", text, re.MULTILINE):
        return "compose"
    if _LITELLM.search(text):
        return "LiteLLM"
    if (
        re.search(r"^FROM\s+\S", text, re.MULTILINE | re.IGNORECASE)
        and "modelfile" in path.name.lower()
    ):
        return "Modelfile"
    if path.name.startswith(".env") or path.suffix == ".env":
        return "variables"
    if _COMMAND.search(text):
        return "script"
    if re.search(r"\A\s*(#.*\n|\s*\n)*FROM\s+\S", text, re.IGNORECASE):
        return "Modelfile"
    return ""


def _of_interest(path: Path) -> Iterator[Path]:
    """Yield the files of a directory that have a known kind."""
    candidates = [*path.iterdir(), *(path / ".claude").glob("settings*.json")]
    for each in sorted(candidates):
        named = (
            each.suffix in (".yml", ".yaml", ".json", ".service", ".conf", ".sh")
            or "modelfile" in each.name.lower()
        )
        if not named or not each.is_file() or each.stat().st_size > LARGEST:
            continue
        try:
            text = reading.text(each, LARGEST)
        except reading.Unreadable:
            continue
        kind = kind_of(each, text)
        is_settings = each.name.startswith(("settings", "managed-settings"))
        if kind and kind != "fleet" and (kind != "Claude Code" or is_settings):
            yield each
