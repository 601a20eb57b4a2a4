"""The commands of the documentation: those with output are run, the others at least exist.

A block with a title is a file that the reader saves: it is there when the next command runs. The
pages without such a file begin with the inventories of this tree.

MIRRORFLEET_UPDATE_GOLDEN=1 writes the output of `console` blocks again.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from mirrorfleet.cli.commands import group
from tests.docs.pages import PAGES, ROOT, Block, blocks, every, prose
from tests.in_process import printed

BIN = ROOT / ".venv/bin"

TREE = ("benchmarks", "bin", "deploys", "mirrorfleet", "roles", "schemas", "tests", "tools")
PATH = re.compile(rf"(?<![\w/.-])(?:{'|'.join(TREE)})/[\w./-]*\w")

EXAMPLES = {
    "tests/roles/known_content/RELEASE.yml",
}
"""Files that the reader of a page makes."""


@pytest.mark.parametrize("block", every("sh"), ids=str)
def test_each_command_exists(block: Block) -> None:
    found = list(commands(block.text))
    assert found
    for words in found:
        known(words)


STARTER = ROOT / "mirrorfleet/data/starter/workflow.yml"


@pytest.mark.parametrize(
    "text",
    [
        STARTER.read_text("utf-8"),
        *(block.text for block in every("yaml") if block.title.startswith(".")),
    ],
)
def test_each_command_of_a_workflow_exists(text: str) -> None:
    scripts = list(_scripts(yaml.safe_load(text)))
    found = [words for script in scripts for words in commands(script)]
    assert any(words[0].endswith("mirrorfleet") for words in found)
    for words in found:
        known(words)


def _scripts(content: Any) -> Iterator[str]:
    """Yield the scripts of a workflow: `run` of GitHub, `script` of GitLab."""
    if isinstance(content, list):
        for each in content:
            yield from _scripts(each)
    elif isinstance(content, dict):
        for key, value in content.items():
            if key in ("run", "script"):
                yield value if isinstance(value, str) else "\n".join(value)
            else:
                yield from _scripts(value)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_files_in_a_sentence_exist(page: Path) -> None:
    for code in re.findall(r"`([^`\n]+)`", prose(page)):
        if code.startswith(("mirrorfleet ", "pyinfra ", "bin/")):
            known(code.replace("…", "").split())
        for path in PATH.findall(code):
            assert (ROOT / path).exists() or path in EXAMPLES or "NAME" in path, path


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "console")], ids=lambda page: page.name
)
def test_the_output_is_what_the_commands_print(page: Path, tmp_path: Path) -> None:
    if not any(block.title for block in blocks(page)):
        shutil.copytree(ROOT / "inventories", tmp_path / "inventories")
    text, directory = page.read_text("utf-8"), tmp_path
    for block in blocks(page):
        if block.title:
            (directory / block.title).parent.mkdir(exist_ok=True)
            (directory / block.title).write_text(block.text, "utf-8")
        if block.language != "console":
            continue
        shown = ""
        for command in re.findall(r"^\$ (.*)$", block.text, re.M):
            output, directory = run(command, directory)
            shown += f"$ {command}\n{output}"
        text = text.replace(f"```console\n{block.text}```", f"```console\n{shown}```")
    if os.environ.get("MIRRORFLEET_UPDATE_GOLDEN"):
        page.write_text(text, "utf-8")
    assert text == page.read_text("utf-8")


UNTRIED = re.compile(r"(?m)^\S+: note: Mirrorfleet's tests have not run .*\n")
"""A note that moves with every release and every record of a test run: pages leave it out."""


def run(command: str, directory: Path) -> tuple[str, Path]:
    """Run a line in a directory; return what it prints, and the directory of the next line."""
    environment = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "COLUMNS": "100",
        "HOME": str(directory),
    }
    program, *arguments = shlex.split(command)
    if program == "mirrorfleet" and not re.search(r"[|&;<>$*]", command):
        return printed(arguments, directory, environment), directory
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    moved = re.fullmatch(r"cd (\S+)", command)
    return UNTRIED.sub("", done.stdout), (directory / moved[1]) if moved else directory


def commands(text: str) -> Iterator[list[str]]:
    """Yield the commands of a block, without comments, variables and redirections."""
    text = re.sub(r"<<(\w+)\n.*?^\1$", "", text, flags=re.M | re.S).replace("\\\n", " ")
    for line in text.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set(";&|"):
                while words and re.match(r"\w+=", words[0]):
                    del words[0]
                if words:
                    yield words
                words = []
            else:
                words.append(word)


def known(words: list[str]) -> None:
    """Fail if a command of this project, or one of its options or files, does not exist."""
    program, *arguments = words
    arguments = [each for each in arguments if not re.match(r"[<>]", each)]
    match program.removeprefix(".venv/bin/"):
        case "mirrorfleet":
            parsed(arguments)
        case "pyinfra":
            deploy(arguments)
        case "python" | "python3" if arguments[:1] == ["-m"] and "." in arguments[1]:
            assert find_spec(arguments[1]), words
        case "git" if arguments[:1] == ["grep"]:
            assert (
                subprocess.run(words, cwd=ROOT, stdout=subprocess.DEVNULL, timeout=120).returncode
                == 0
            ), words
        case name if name.startswith(("bin/", "benchmarks/")):
            assert os.access(ROOT / name, os.X_OK), words
    for each in arguments:
        if PATH.fullmatch(each):
            assert (ROOT / each).exists() or each in EXAMPLES or "NAME" in each, words


def parsed(arguments: list[str]) -> None:
    """Fail if `mirrorfleet` does not take these arguments."""
    if not arguments or arguments[0].startswith("-"):
        command: click.Command = group
    else:
        name, *arguments = arguments
        found = group.get_command(click.Context(group), name)
        assert found, name
        command = found
    context = click.Context(command)
    try:
        command.make_parser(context).parse_args(list(arguments))
    except click.BadOptionUsage as error:  # a page may name an option without its value
        assert "requires an argument" in error.message


def deploy(arguments: list[str]) -> None:
    """Fail if pyinfra has no such option, or a deploy takes no such data."""
    for word, value in zip(arguments, [*arguments[1:], ""], strict=True):
        assert not word.startswith("--") or word in pyinfra_options(), word
        if word.startswith("mirrorfleet."):
            assert find_spec(word.rpartition(".")[0]), word
        if word == "--data":
            assert f'"{value.partition("=")[0]}"' in sources(), value


@cache
def pyinfra_options() -> set[str]:
    done = subprocess.run([BIN / "pyinfra", "--help"], capture_output=True, text=True, timeout=120)
    return set(re.findall(r"--[a-z-]+", done.stdout))


@cache
def sources() -> str:
    """Return the code that may read a word of `--data`."""
    folders = ("mirrorfleet/jobs", "mirrorfleet/runtime", "roles", "deploys")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    return "\n".join(file.read_text("utf-8") for file in files)
