"""Fleets with mistakes: each is reported once, at its line, with a fix, and nothing else is.

The first comment lines of the files in bad/ and warned/ are the expected messages. To update them:
MIRRORFLEET_UPDATE_GOLDEN=1 pytest tests/fleet/test_bad_fleets.py. Read the diff.
"""

import os
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirrorfleet import fleet
from mirrorfleet.config.problems import Key
from mirrorfleet.data import proposed

HERE = Path(__file__).parent
BAD = sorted((HERE / "bad").glob("*.yml"))
WARNED = sorted((HERE / "warned").glob("*.yml"))
TODAY = date(2026, 11, 23)


def report(path: Path) -> tuple[bool, set[str]]:
    """Return whether a fleet is refused, and the messages."""
    try:
        found = fleet.load(path, TODAY)
    except fleet.FleetError as error:
        return True, set(str(error).splitlines())
    return False, {str(warning) for warning in fleet.plan(found).fleet.warnings}


def messages(path: Path) -> set[str]:
    return report(path)[1]


def update(path: Path) -> None:
    """Write the messages into the first lines of the file, twice: they move the other lines."""
    lines = path.read_text(encoding="utf-8").splitlines()
    content = [line for line in lines if not line.startswith("# ")]
    for _ in range(2):
        found = [neutral(text, path) for text in messages(path)]
        header = [f"# {text}" for text in sorted(found)]
        path.write_text("\n".join([*header, *content]) + "\n", encoding="utf-8")


def neutral(text: str, path: Path) -> str:
    """Return a message without paths, and without the release that is proposed at the moment."""
    text = text.replace(f"{path}:", "").replace(f"{HERE}/", "")
    return PROPOSED.sub(r"Write {\2\3}, or add \1", text)


PROPOSED = re.compile(r"Write [\d.]+, or add (locks/(\w+)/[\d.]*\d((?:-cpu)?)\.)")
RELEASE_OF = re.compile(r"\{([\w-]+)\}(?=, or add locks/)")


def expected(path: Path) -> set[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    texts = [line[2:] for line in lines if line.startswith("# ")]
    texts = [RELEASE_OF.sub(lambda found: proposed(found[1]), text) for text in texts]
    return {f"{path}:{text}" if text[0].isdigit() else f"{HERE}/{text}" for text in texts}


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_all_mistakes_are_reported_at_once(path: Path) -> None:
    if os.environ.get("MIRRORFLEET_UPDATE_GOLDEN"):
        update(path)
    refused, found = report(path)
    assert found == expected(path) != set()
    assert refused


@pytest.mark.parametrize("path", WARNED, ids=lambda path: path.stem)
def test_warnings_do_not_refuse_the_fleet(path: Path) -> None:
    if os.environ.get("MIRRORFLEET_UPDATE_GOLDEN"):
        update(path)
    refused, found = report(path)
    assert found == expected(path) != set()
    assert not refused


FALLBACKS = "{middle: [cloud], coder: [cloud]}"


@pytest.mark.parametrize(
    ("keys", "small"),
    [
        (f"context_window_fallbacks: {FALLBACKS}", None),
        (f"fallbacks: {FALLBACKS}", None),
        (f"fallbacks: {FALLBACKS}\ncontext_window_fallbacks: {{middle: [cloud]}}", "coder"),
        (f"context_window_fallbacks: {FALLBACKS}\naliases: {{sonnet: own, fable: middle}}", "own"),
        (f"context_window_fallbacks: {FALLBACKS}\naliases: {{haiku: own}}", "own"),
    ],
    ids=["for windows", "for all", "not for both", "Ollama cuts", "WebFetch sends haiku pages"],
)
def test_fallbacks_with_a_larger_window_silence_the_warning(
    tmp_path: Path, keys: str, small: str | None
) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text(
        f"include: {HERE}/warned/tiers-with-smaller-windows.yml\n"
        "hosts: {cpu: {address: 10.0.0.5}}\n"
        "models: {own: {engine: ollama, weights: 'qwen3:4b', hosts: [cpu], "
        f"context: 65536, output: 8192}}}}\n{keys}\n"
    )
    found = [str(warning) for warning in fleet.load(path, TODAY).warnings]
    assert [f"is '{small}' with" in text for text in found] == ([True] if small else []), found


@pytest.mark.parametrize("name", ["load-balancer", "keys", "gateway-options", "database", "scopes"])
def test_a_wrong_value_causes_no_problems_at_other_keys(tmp_path: Path, name: str) -> None:
    """Replace every value of a good fleet by a wrong one: only that value has problems."""
    good = yaml.safe_load((HERE / "good" / f"{name}.yml").read_text("utf-8"))
    good |= {"firewall": {"gateways": ["10.0.9.5"], "engines": ["10.0.9.6"]}}
    if "port" in good["gateway"].get("metrics", {}):
        good["firewall"]["metrics"] = ["10.0.9.5"]
    path = tmp_path / "fleet.yml"

    def errors(content: Any) -> set[tuple[Key, str]]:
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        try:
            fleet.load(path, TODAY)
        except fleet.FleetError as error:
            return {
                (problem.key, problem.text)
                for problem in error.problems
                if problem.severity == "error"
            }
        return set()

    assert not errors(good)
    for section, values in good.items():
        wrong = {**good, section: [[1]]}
        for key, content in (
            ((section,), wrong),
            *(
                ((section, inner), {**good, section: {**values, inner: [[1]]}})
                for inner in (values if isinstance(values, dict) else ())
            ),
        ):
            found = errors(content)
            assert found
            assert all(place[: len(key)] == key for place, _ in found), (key, found)


def test_the_base_of_the_bad_fleets_has_no_problems() -> None:
    assert fleet.load(HERE / "bad" / "base" / "whole.yml").warnings == ()


def test_a_mistake_in_an_included_file_is_reported_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "base.yml").write_text("version: 1\nname: x\nhosts:\n  a: {user: me}\n")
    (tmp_path / "fleet.yml").write_text(
        "include: base.yml\nhosts:\n  b: {address: 10.0.0.2, port: 0}\n"
    )
    assert messages(tmp_path / "fleet.yml") == {
        f"{tmp_path}/base.yml:4: hosts.a: missing key 'address'. Add it. Host name or IP address. "
        "`local` is this machine, without SSH: its services listen on 127.0.0.1, and it is the "
        "only host. For example: address: 10.0.1.11",
        f"{tmp_path}/fleet.yml:3: hosts.b.port: is 0; the minimum is 1. SSH port, if it is not "
        "the one in `ssh`. TCP port. For example: port: 2222",
    }


@pytest.mark.parametrize(
    "value", ["", "tensor_parallel: 4, "], ids=["below an include", "over the value of an include"]
)
def test_the_fix_for_an_included_value_is_null(tmp_path: Path, value: str) -> None:
    """Without the key, the value of the included file would apply, and be refused again."""
    path = tmp_path / "lab.yml"

    def found(model: str) -> list[str]:
        path.write_text(
            f"include: {HERE}/bad/base/whole.yml\nmodels:\n  coder: {{{model}build: cpu}}\n"
        )
        return [text.removeprefix(f"{path}:3: ") for text in messages(path)]

    [mistake] = found(value)
    assert mistake.endswith(
        "models.coder.tensor_parallel: needs GPUs, but the build is cpu. "
        "Write 'tensor_parallel: null' in lab.yml."
    )
    assert found("tensor_parallel: null, ") == []


def test_a_number_in_place_of_a_secret_is_not_printed(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text(
        f"include: {HERE}/bad/base/whole.yml\nmodels:\n  other: {{provider: openai_compatible, "
        "id: x, url: 'https://models.example.com/v1', api_key: 8675309}\n"
    )
    [mistake] = messages(path)
    assert "models.other.api_key: is a number, which is not a valid value" in mistake
    assert "8675309" not in mistake


def test_the_fix_for_a_value_of_the_file_itself_is_to_remove_it(tmp_path: Path) -> None:
    path = tmp_path / "lab.yml"
    path.write_text(
        f"include: {HERE}/bad/base/whole.yml\n"
        "models: {coder: {build: cpu, tensor_parallel: null, devices: [0]}}\n"
    )
    [mistake] = messages(path)
    assert mistake.endswith("models.coder.devices: needs GPUs, but the build is cpu. Remove it.")


def test_a_missing_file() -> None:
    with pytest.raises(
        fleet.FleetError,
        match=r"^nowhere.yml: No such file or directory. Correct the name, or write a first",
    ):
        fleet.load("nowhere.yml")


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(fleet.FleetError, match=r"fleet.yml: Not UTF-8 in line 1. Save the file"):
        fleet.load(path)


def test_twenty_mistakes_are_twenty_messages_on_twenty_lines() -> None:
    assert len(messages(HERE / "bad" / "twenty-mistakes.yml")) == 20


def test_a_control_character_is_reported_at_its_line(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text("version: 1\nname: café\nhosts: \x07\n")
    with pytest.raises(fleet.FleetError, match=r"fleet.yml:3: control characters are not allowed"):
        fleet.load(path)
