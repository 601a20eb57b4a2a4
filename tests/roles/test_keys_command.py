"""mirrorfleet keys: who has which key, and the key itself for whoever may see it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirrorfleet.cli.main import main
from mirrorfleet.config.key_derivation import DerivedKey
from mirrorfleet.runtime import secrets
from tests.roles.conftest import Planned


@pytest.fixture
def prod(project: Path) -> str:
    return str(project / "inventories/prod.yml")


def printed(prod: str, capsys: pytest.CaptureFixture[str], name: str) -> str:
    assert main(["keys", prod, "--print", name, "--pipe"]) == 0
    return capsys.readouterr().out.strip()


def test_the_table_tells_no_key(prod: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", prod]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("ada", "grace", "platform", "1.1.1", "dev-1, dev-2"))
    assert printed(prod, capsys, "ada") not in said


def test_without_the_root_the_rest_is_told(
    prod: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    path = project / "inventories/prod.yml"
    path.write_text(path.read_text().replace("MIRRORFLEET_KEY_ROOT", "NOT_HERE"))
    assert main(["keys", prod]) == 0
    said = capsys.readouterr()
    assert "grace" in said.out
    assert said.err.count("The secret {env: NOT_HERE} is missing") == 1
    assert main(["keys", prod, "--print", "ada", "--pipe"]) == 1


def test_a_key_is_that_of_the_plan_and_goes_into_no_pipe_unasked(
    prod: str, plans: Planned, capsys: pytest.CaptureFixture[str]
) -> None:
    clients = plans("prod").hosts["dev-1"].clients
    assert clients
    key = clients.users[0].key
    assert isinstance(key, DerivedKey)
    assert printed(prod, capsys, "ada").startswith("sk-mf-")
    assert printed(prod, capsys, "ada") != printed(prod, capsys, "grace")
    assert main(["keys", prod, "--print", "ada"]) == 1
    said = capsys.readouterr()
    assert (said.out, "on a terminal only" in said.err) == ("", True)


@pytest.mark.parametrize("words", [[], ["--print", "ada", "--pipe"]])
def test_of_a_root_that_can_be_guessed_nothing_is_told(
    prod: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
) -> None:
    monkeypatch.setenv("MIRRORFLEET_KEY_ROOT", "abc")
    secrets._reveal.cache_clear()
    assert main(["keys", prod, *words]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "Keys cannot be derived from {env: MIRRORFLEET_KEY_ROOT}: it is 3 "
        "characters long; the minimum is 32. Create a random one, for example with: openssl rand "
        "-hex 32.\n"
    )


def test_nobody_of_that_name(prod: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", prod, "--print", "adda"]) == 1
    assert "Did you mean 'ada'?" in capsys.readouterr().err
