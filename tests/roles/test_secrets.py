"""Where secrets come from, and what is said when one cannot be had: never a value."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import pytest
from pyinfra.api.exceptions import DeployError

from mirrorfleet.config import Secret
from mirrorfleet.runtime.secrets import reveal

Source = Literal["env", "file", "command"]


def refusal(secret: Secret) -> str:
    with pytest.raises(DeployError) as caught:
        reveal(secret)
    return str(caught.value)


@pytest.mark.parametrize("written", ["sk-1", "sk-1\n", "sk-1\r\n", "  sk-1  "])
def test_one_value_from_each_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("KEY", written)
    (tmp_path / "key").write_text(written, newline="")
    for source, value in (("env", "KEY"), ("file", "key"), ("command", "cat key")):
        assert reveal(Secret(source, value, tmp_path)) == "sk-1"  # type: ignore[arg-type]


def test_a_file_may_have_any_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("sk-2")
    (tmp_path / "inventories").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (str(tmp_path / "key"), "~/key", "../key"):
        assert reveal(Secret("file", path, tmp_path / "inventories")) == "sk-2"


def test_a_person_is_asked_once(tmp_path: Path) -> None:
    secret = Secret("command", "echo x >>asked; echo sk-3", tmp_path)
    assert reveal(secret) == reveal(secret) == "sk-3"
    assert (tmp_path / "asked").read_text() == "x\n"


@pytest.mark.parametrize(
    ("source", "value", "reason"),
    [
        ("env", "NOT_SET", "{env: NOT_SET} is missing: the variable is not set on this machine."),
        ("env", "EMPTY", "{env: EMPTY} is empty: set a value."),
        ("file", "nowhere", "{file: nowhere} is missing: No such file or directory."),
        ("file", ".", "{file: .} is missing: Is a directory."),
        ("file", "binary", "{file: binary} is missing: Not UTF-8 in line 1."),
        ("file", "blank", "{file: blank} is empty: set a value."),
        ("command", "exit 3", "{command: exit 3} is missing: the command failed with exit code 3."),
        ("command", "true", "{command: true} is empty: set a value."),
        ("command", "cat binary", "{command: cat binary} is not text."),
    ],
)
def test_a_missing_one_is_named_by_its_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Source, value: str, reason: str
) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    monkeypatch.setenv("EMPTY", "")
    (tmp_path / "binary").write_bytes(b"hush\xff\xfe\x00")
    (tmp_path / "blank").write_text(" \n")
    assert refusal(Secret(source, value, tmp_path)) == f"the secret {reason}"


@pytest.mark.parametrize("value", ["hush\nhush", "hush\thush", "hush\0", "hush\x1b[0m"])
def test_a_value_that_is_no_single_line_is_refused_and_not_said(tmp_path: Path, value: str) -> None:
    (tmp_path / "key").write_text(value)
    said = refusal(Secret("file", "key", tmp_path))
    assert "{file: key}" in said
    assert "hush" not in said


def test_a_json_document_becomes_one_line(tmp_path: Path) -> None:
    (tmp_path / "key").write_text('{\n  "type": "service_account",\n  "key": "a\\nb"\n}\n')
    revealed = reveal(Secret("file", "key", tmp_path))
    assert revealed == '{"type": "service_account", "key": "a\\nb"}'


def test_one_that_never_ends_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").open("wb").truncate(1024**3)
    for path, why in (
        ("pipe", "Not a regular file but a pipe. Write {command: cat pipe}."),
        ("/dev/zero", "Not a regular file but a device. Write {command: cat /dev/zero}."),
        ("large", "Larger than 1 MiB."),
        ("~nobody-at-all/key", "Could not determine home directory."),
    ):
        said = refusal(Secret("file", path, tmp_path))
        assert said == f"the secret {{file: {path}}} is missing: {why}"
    endless = Secret("command", "cat /dev/zero", tmp_path)
    assert (
        refusal(endless) == f"the secret {endless} is missing: the command printed more than 1 MiB."
    )


def test_a_pipe_can_be_read_by_a_command(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    secret = Secret("command", "(echo sk-4 >pipe &) ; cat pipe", tmp_path)
    assert reveal(secret) == "sk-4"
