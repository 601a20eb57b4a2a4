"""Tests of `mirrorfleet check --secrets`, which reads each secret on the controller."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mirrorfleet.cli.main import main
from mirrorfleet.runtime import secrets

FLEET = """\
version: 1
name: fleet
hosts: {gw: {address: 10.0.0.2}, lb: {address: 10.0.0.3}}
models:
  cloud: {provider: anthropic, id: claude-sonnet-5-5, context: 200000, api_key: {env: CLOUD}}
  other: {provider: anthropic, id: claude-opus-5-5, context: 200000, api_key: {command: cat other}}
gateway:
  hosts: [gw]
  version: 1.106.12
  master_key: {file: master}
  guardrails:
    rules: {guardrail: presidio, mode: pre_call, parameters: {api_key: {env: GUARDRAIL}}}
keys: {root: {env: ROOT}}
"""
ROOT = "3f9c1b7e52d84a06b1d97c4e8f20a35d"
VALID = {"CLOUD": "sk-cloud", "GUARDRAIL": "a-guardrail-token", "ROOT": ROOT}
MASTER = "sk-9f31c07a55e2"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of a fleet file with readable secrets only."""
    secrets._reveal.cache_clear()
    secrets._reveal_text.cache_clear()
    for name, value in VALID.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "master").write_text(f"{MASTER}-and-more\n")
    (tmp_path / "other").write_text("sk-other\n")
    path = tmp_path / "fleet.yml"
    path.write_text(FLEET)
    return path


def checked(file: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """Return the exit code and the messages, without warnings and without the file's name."""
    code = main(["check", "--secrets", str(file)])
    lines = capsys.readouterr().err.splitlines()
    return code, [line.removeprefix(f"{file}:") for line in lines if "warning:" not in line]


def test_readable_secrets_are_accepted(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(file, capsys) == (0, [])


def test_each_secret_is_reported_at_its_reference(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GUARDRAIL")
    monkeypatch.setenv("CLOUD", "two\nlines")
    monkeypatch.setenv("ROOT", "too-short")
    (file.parent / "master").write_text(MASTER)
    (file.parent / "other").write_text("\n")
    code, messages = checked(file, capsys)
    assert code == 1
    assert messages == [
        "5: models.cloud.api_key: the secret {env: CLOUD} has a line break or another control "
        "character. Remove it.",
        "6: models.other.api_key: the secret {command: cat other} is empty: set a value.",
        "10: gateway.master_key: is 15 characters long; the minimum is 16. "
        'Create a random one, for example with: echo "sk-$(openssl rand -hex 32)".',
        "12: gateway.guardrails.rules.parameters.api_key: the secret {env: GUARDRAIL} is missing: "
        "the variable is not set on this machine. Run: export GUARDRAIL=…",
        "13: keys.root: is 9 characters long; the minimum is 32. "
        "Create a random one, for example with: openssl rand -hex 32.",
    ]


def test_no_secret_is_printed(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOT", "guessable-root")
    monkeypatch.setenv("CLOUD", "first-line\nsecond-line")
    assert main(["check", "--secrets", "--json", str(file)]) == 1
    printed = capsys.readouterr()
    [result] = json.loads(printed.out)
    assert result["accepted"] is False
    keys = [problem["key"] for problem in result["problems"] if problem["severity"] == "error"]
    assert sorted(keys) == ["keys.root", "models.cloud.api_key"]
    for value in ("guessable-root", "first-line", "second-line", MASTER, "a-guardrail-token"):
        assert value not in printed.out + printed.err


def test_a_command_in_several_references_runs_once(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = FLEET.replace("{env: CLOUD}", "{command: cat other}")
    file.write_text(text.replace("cat other", "echo run >>runs; exit 3"))
    code, messages = checked(file, capsys)
    assert (code, len(messages)) == (1, 2)
    assert (file.parent / "runs").read_text() == "run\n"


def test_without_the_option_no_secret_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROOT")
    assert main(["check", str(file)]) == 0


def test_the_private_key_of_a_certificate_may_have_several_lines(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file.parent / "cert.pem").write_text("certificate\n")
    (file.parent / "key.pem").write_text("-----BEGIN\nabc\n-----END\n")
    balancer = "load_balancer: {hosts: [lb], certificate: {push: cert.pem}, key: {file: key.pem}}\n"
    file.write_text(FLEET + balancer)
    code, messages = checked(file, capsys)
    assert not [line for line in messages if "load_balancer.key" in line], messages
    (file.parent / "key.pem").write_text("\n")
    secrets._reveal_text.cache_clear()
    code, messages = checked(file, capsys)
    assert code == 1
    assert [line for line in messages if "load_balancer.key: the secret {file: key.pem}" in line]
