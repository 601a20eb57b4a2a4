"""mirrorfleet keys: a table of keys without their values, and --print for one value."""

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


def test_the_table_shows_no_key(prod: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", prod]) == 0
    output = capsys.readouterr().out
    assert all(word in output for word in ("ada", "grace", "platform", "1.1.1", "dev-1, dev-2"))
    assert printed(prod, capsys, "ada") not in output


def test_without_the_root_the_table_is_shown_with_an_error(
    prod: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    path = project / "inventories/prod.yml"
    path.write_text(path.read_text().replace("MIRRORFLEET_KEY_ROOT", "NOT_HERE"))
    assert main(["keys", prod]) == 0
    output = capsys.readouterr()
    assert "grace" in output.out
    assert output.err.count("The secret {env: NOT_HERE} is missing") == 1
    assert main(["keys", prod, "--print", "ada", "--pipe"]) == 1


def test_print_shows_the_key_of_the_plan_and_a_pipe_needs_an_option(
    prod: str, plans: Planned, capsys: pytest.CaptureFixture[str]
) -> None:
    clients = plans("prod").hosts["dev-1"].clients
    assert clients
    key = clients.users[0].key
    assert isinstance(key, DerivedKey)
    assert printed(prod, capsys, "ada").startswith("sk-mf-")
    assert printed(prod, capsys, "ada") != printed(prod, capsys, "grace")
    assert main(["keys", prod, "--print", "ada"]) == 1
    output = capsys.readouterr()
    assert (output.out, "on a terminal only" in output.err) == ("", True)


@pytest.mark.parametrize("words", [[], ["--print", "ada", "--pipe"]])
def test_with_a_weak_root_nothing_is_printed(
    prod: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
) -> None:
    monkeypatch.setenv("MIRRORFLEET_KEY_ROOT", "abc")
    secrets._reveal.cache_clear()
    assert main(["keys", prod, *words]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == (
        "Keys cannot be derived from {env: MIRRORFLEET_KEY_ROOT}: it is 3 "
        "characters long; the minimum is 32. Create a random one, for example with: openssl rand "
        "-hex 32.\n"
    )


def test_an_unknown_name_gets_a_suggestion(prod: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", prod, "--print", "adda"]) == 1
    assert "Did you mean 'ada'?" in capsys.readouterr().err
