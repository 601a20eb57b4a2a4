"""The command `mirrorfleet` itself: its help, its exit codes, and the fleet file it finds."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from mirrorfleet import __version__
from mirrorfleet.cli import commands
from mirrorfleet.cli.command import Command, Group
from mirrorfleet.cli.commands import COMMANDS, LIVE, OFFLINE, group, short_help
from mirrorfleet.cli.main import main

ROOT = Path(__file__).parents[2]
PROD = ROOT / "inventories" / "prod.yml"
NAMES = list(COMMANDS)
PATHS = [
    (name, *subcommand)
    for name, loader in COMMANDS.items()
    for command in [loader()]
    for subcommand in (
        [(each,) for each in command.commands] if isinstance(command, click.Group) else [()]
    )
]
"""Every command and subcommand, by its words."""


def loaded(*arguments: str, **variables: str) -> set[str]:
    """Return the modules that a command imports."""
    program = (
        "import sys; from mirrorfleet.cli.main import run\n"
        "try: run()\n"
        "finally: print('modules:', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return set(done.stdout.rpartition("modules:")[2].split())


def of_the_package(modules: set[str]) -> set[str]:
    return {module for module in modules if module.split(".")[0] == "mirrorfleet"}


ENTRY = {"mirrorfleet", "mirrorfleet.cli", "mirrorfleet.cli.main", "mirrorfleet.cli.commands"}
COMPLETION = {
    "_MIRRORFLEET_COMPLETE": "bash_complete",
    "COMP_WORDS": "mirrorfleet ",
    "COMP_CWORD": "1",
}


def test_help_and_completion_import_no_command() -> None:
    assert of_the_package(loaded("--help")) == ENTRY
    assert of_the_package(loaded("--version")) == ENTRY
    assert of_the_package(loaded(**COMPLETION)) == ENTRY


HELPS = """\
import os, sys
import jinja2, jsonschema, packaging.requirements, rich.console, yaml  # these take the time
from mirrorfleet.cli.main import run
for name in sys.argv[1:]:
    if not os.fork():
        sys.argv[1:] = name, "--help"
        try: run()
        finally: print("modules:", name, *sys.modules, flush=True)
    os.wait()
"""
"""A program that runs `--help` of commands, each in a process that has imported none before."""


@pytest.mark.slow
def test_a_command_imports_only_its_own_module() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELPS, *NAMES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr, done.stderr
    lines = (line.split()[1:] for line in done.stdout.splitlines() if line.startswith("modules:"))
    modules = {name: set(imported) for name, *imported in lines}
    places = ("mirrorfleet.cli", "mirrorfleet.cli.live")
    files = {each: "import_" if each == "import" else each for each in NAMES}  # no keyword
    commands = {
        name: {each for each in NAMES if any(f"{place}.{files[each]}" in found for place in places)}
        for name, found in modules.items()
    }
    assert commands == {name: {name} for name in NAMES}
    assert not [name for name in NAMES if {"pyinfra", "gevent", "paramiko"} & modules[name]]


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_fits_80_columns_and_has_examples_that_parse(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*path, "--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    command = COMMANDS[path[0]]()
    assert (command.help or "").startswith(short_help(COMMANDS[path[0]]))
    for name in path[1:]:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    assert isinstance(command, Command) and command.examples
    for example in command.examples:
        assert f"\n  {example}\n" in text
        program, *words = shlex.split(example.partition(" >")[0])
        assert (program, *words[: len(path)]) == ("mirrorfleet", *path)
        command.make_context(path[-1], words[len(path) :])


@pytest.mark.parametrize("name", sorted({path[0] for path in PATHS if path[1:]}))
def test_help_of_a_group_has_an_example_of_one_of_its_commands(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = COMMANDS[name]()
    assert isinstance(command, Group)
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    for example in command.examples:
        assert f"\n  {example}\n" in text
        assert shlex.split(example)[2] in command.commands


def test_the_list_of_commands_has_one_line_each(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for title, table in (("Commands on your machine:", OFFLINE), ("Commands on hosts:", LIVE)):
        at = lines.index(title)
        assert [line.split()[0] for line in lines[at + 1 : at + 1 + len(table)]] == list(table)


def test_completion_suggests_commands_with_their_help() -> None:
    found = group.shell_complete(click.Context(group), "mo")
    assert [(item.value, item.help) for item in found] == [
        ("monitoring", "Write the configuration of Prometheus and Grafana")
    ]


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mirrorfleet {__version__}\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chek", "mirrorfleet: no such command 'chek'. Did you mean 'check'?"),
        ("frobnicate", "mirrorfleet: no such command 'frobnicate'. See `mirrorfleet --help`."),
        ("check --jsn x", "mirrorfleet check: no such option '--jsn'. Did you mean '--json'?"),
        (
            "check --json --github x",
            "mirrorfleet check: --json and --github exclude each other: remove `--github`.",
        ),
        (
            "package x --group team",
            "mirrorfleet package: missing option '--out'. See `mirrorfleet package --help`.",
        ),
        (
            "monitoring",
            "mirrorfleet monitoring: needs a fleet file and a directory, "
            "as in `mirrorfleet monitoring FILE DIRECTORY`.",
        ),
    ],
)
def test_a_usage_error_is_one_line_with_a_fix(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.split()) == 2
    assert capsys.readouterr().err == f"{message}\n"


def test_no_command_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Commands on hosts:" in capsys.readouterr().err


def test_an_interrupt_ends_with_130(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command
    def slow() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "COMMANDS", {"slow": lambda: slow})
    assert main(["slow"]) == 130
    assert capsys.readouterr().err.strip() == "mirrorfleet: interrupted"


@pytest.mark.parametrize("arguments", [("schema",), ("show", str(PROD)), ("--help",)])
def test_a_closed_pipe_ends_the_command_silently(arguments: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "mirrorfleet", *arguments],
            cwd=ROOT,
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    assert (done.returncode, done.stderr) == (1, "")


FLEET = "version: 1\nname: lab\nhosts: {a: {address: 10.0.0.1}}\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository, which is the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MIRRORFLEET_FILE", raising=False)
    (tmp_path / "inventories").mkdir()
    return tmp_path


def checked(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Return the exit code of `check`, what it prints, and its errors."""
    code = main(["check", *arguments])
    printed = capsys.readouterr()
    return code, printed.out.strip(), printed.err.strip()


def test_the_only_fleet_file_needs_no_name(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "inventories/lab.yml").write_text(FLEET)
    (repository / "compose.yml").write_text("version: '3'\ninclude: [other.yml]\n")
    assert checked(capsys) == (0, "inventories/lab.yml: 1 host, no mistakes", "")
    assert main(["topology"]) == 0
    assert main(["monitoring", "out"]) == 0
    assert (repository / "out").is_dir()


def test_a_base_is_not_a_fleet_file(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = FLEET.replace("name: lab", "name: base")
    (repository / "inventories/base.yml").write_text(base)
    (repository / "inventories/lab.yml").write_text("include:\n- base.yml\n\nname: lab\n")
    assert checked(capsys) == (0, "inventories/lab.yml: 1 host, no mistakes", "")


def test_a_fleet_file_that_is_not_yaml_is_found(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "fleet.yml").write_text(f"{FLEET}models: {{\n")
    code, _, errors = checked(capsys)
    assert code == 1
    assert errors.startswith("fleet.yml:")


def test_two_fleet_files_are_a_usage_error(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("lab", "prod"):
        (repository / f"inventories/{name}.yml").write_text(FLEET)
    assert checked(capsys) == (
        2,
        "",
        "mirrorfleet check: 2 fleet files are here (inventories/lab.yml, inventories/prod.yml): "
        "name one, as in `mirrorfleet check inventories/lab.yml`.",
    )


def test_no_fleet_file_is_a_usage_error(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked(capsys) == (
        2,
        "",
        "mirrorfleet check: no file in . or inventories/ has 'version: 1': "
        "name the fleet file, as in `mirrorfleet check FILE`, or write one: `mirrorfleet init`, "
        "or for this machine alone `mirrorfleet init --local`.",
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "inventories",
            "mirrorfleet topology: inventories is a directory: "
            "name the fleet file, as in `mirrorfleet topology FILE`.",
        ),
        (
            "inventories/prod.py",
            "mirrorfleet topology: inventories/prod.py is the inventory module: "
            "name the fleet file, as in `mirrorfleet topology inventories/prod.yml`.",
        ),
    ],
)
def test_what_is_not_a_fleet_file_is_a_usage_error(
    given: str, message: str, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "inventories/prod.yml").write_text(FLEET)
    (repository / "inventories/prod.py").write_text("")
    code = main(["topology", given])
    assert (code, capsys.readouterr().err.strip()) == (2, message)


def test_a_missing_file_is_found_below_inventories(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "inventories/prod.yml").write_text(FLEET)
    code, _, errors = checked(capsys, "prod.yml")
    assert code == 1
    assert errors == ("prod.yml: No such file or directory. Did you mean 'inventories/prod.yml'?")


def test_the_variable_names_the_file_from_any_directory(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "fleet.yml").write_text(FLEET)
    monkeypatch.setenv("MIRRORFLEET_FILE", str(PROD))
    assert checked(capsys)[:2] == (0, f"{PROD}: 7 hosts, no mistakes")
    assert checked(capsys, "fleet.yml")[:2] == (0, "fleet.yml: 1 host, no mistakes")
    monkeypatch.setenv("MIRRORFLEET_FILE", "gone.yml")
    assert checked(capsys) == (
        2,
        "",
        "mirrorfleet check: $MIRRORFLEET_FILE is 'gone.yml', which does not exist: "
        "correct it, or `unset MIRRORFLEET_FILE`.",
    )
