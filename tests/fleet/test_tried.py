"""Which releases were tested together: the record of a run, the data, and the note of `check`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet import fleet
from mirrorfleet.checks import tried
from mirrorfleet.checks.tried import notes
from mirrorfleet.cli.main import main
from mirrorfleet.cli.pages import matrix
from mirrorfleet.data import proofs
from mirrorfleet.data.proofs import Proof
from tests.record import system
from tools import record

ROOT = Path(__file__).parents[2]
Recorded = Callable[[list[dict[str, Any]], dict[str, Any]], tuple[int, list[dict[str, Any]]]]
FLEET = ROOT / "tests/fleet/bad/base/whole.yml"
WHOLE = Proof(
    "tests/lab/verify",
    "2026-11-30",
    {"test_session": 2},
    "2.1.331",
    "1.106.12",
    "vllm 0.32.0-cpu",
    "Debian 12",
)
"""The releases of this fleet file."""


def know(monkeypatch: pytest.MonkeyPatch, *rows: Proof) -> None:
    monkeypatch.setattr(tried, "proofs", lambda: rows)
    monkeypatch.setattr(matrix, "proofs", lambda: rows)


def test_a_fleet_whose_releases_ran_together_has_no_note(monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, WHOLE)
    assert list(notes(fleet.load(FLEET))) == []


def test_releases_that_ran_apart_are_a_note_and_no_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    know(
        monkeypatch,
        replace(WHOLE, engine="vllm 0.31.0-cpu"),
        replace(WHOLE, client="2.1.329"),
    )
    monkeypatch.setattr(tried, "notes", notes)
    path = str(FLEET)
    assert main(["check", path]) == 0
    printed = capsys.readouterr()
    assert (
        f"{path}: note: Mirrorfleet's tests have not run these releases together: Claude Code "
        "2.1.331, LiteLLM 1.106.12, vLLM 0.32.0. `mirrorfleet docs matrix` lists those that they "
        "ran, such as Claude Code 2.1.331, LiteLLM 1.106.12, vLLM 0.31.0.\n"
    ) in printed.err
    assert "no mistakes" in printed.out
    assert main(["check", "--json", path]) == 0
    [result] = json.loads(capsys.readouterr().out)
    assert result["accepted"]
    assert [each["severity"] for each in result["problems"]].count("note") == 1
    assert main(["check", "--github", path]) == 0
    assert "::notice file=" in capsys.readouterr().err


def test_the_closest_of_several_rows_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        replace(WHOLE, gateway="1.90.0", system=system) for system in ("Debian 12", "Debian 13")
    ]
    far = replace(WHOLE, client="2.0.0", gateway="1.80.0")
    part = replace(WHOLE, suite="tests/litellm", engine="")
    know(monkeypatch, *rows, far, part)
    [note] = notes(fleet.load(FLEET))
    assert note.text.endswith("such as Claude Code 2.1.331, LiteLLM 1.90.0, vLLM 0.32.0.")
    know(monkeypatch, *rows, far, part, replace(WHOLE, system="Debian 13"))
    assert list(notes(fleet.load(FLEET))) == [], "one row is enough, on any system"


def test_many_combinations_are_one_note(monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, WHOLE)
    loaded = fleet.load(FLEET)
    [group, *_] = loaded.developers.values()
    groups = {
        name: replace(group, name=name, version=f"2.2.{name}") for name in ("0", "1", "2", "3")
    }
    [note] = notes(replace(loaded, developers={**loaded.developers, **groups}))
    assert note.mistake.endswith(
        "together: Claude Code 2.2.0, LiteLLM 1.106.12, vLLM 0.32.0; "
        "Claude Code 2.2.1, LiteLLM 1.106.12, vLLM 0.32.0; and 2 more."
    )


def test_a_part_that_a_fleet_does_not_have_needs_no_test(monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, WHOLE)
    loaded = replace(fleet.load(FLEET), gateway=None)
    assert list(notes(loaded)) == []
    know(monkeypatch)
    assert list(notes(replace(loaded, developers={}, models={}))) == []


def test_without_a_record_of_a_whole_fleet_there_is_no_note(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    know(monkeypatch, replace(WHOLE, engine="", gateway="1.0"))
    assert list(notes(fleet.load(FLEET))) == []
    know(monkeypatch)
    assert "No run is recorded yet." in matrix.markdown()


def test_the_page_says_what_nothing_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, WHOLE)
    page = matrix.markdown()
    assert "| 2.1.331 | 1.106.12 | vLLM 0.32.0 for CPUs | Debian 12 |" in page
    assert "| vLLM's build for GPUs (CUDA) |" in page
    assert "test_session (2)" in page
    cuda = Proof("tests/lab/verify", "2026-12-24", {"test_session": 2}, engine="vllm 0.33.0")
    know(monkeypatch, WHOLE, cuda)
    assert "| vLLM's build for GPUs (CUDA) |" not in matrix.markdown()


def module(passed: int, failed: int = 0, **parts: str) -> dict[str, Any]:
    return {"date": "2026-11-30", "parts": parts, "passed": passed, "failed": failed}


@pytest.fixture(name="recorded")
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """Yield a function that adds a run to rows; it returns the status and the rows after it."""
    data = tmp_path / "proofs.json"
    monkeypatch.setattr(proofs, "FILE", data)
    monkeypatch.setattr(record, "FILE", data)

    def add(rows: list[dict[str, Any]], run: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
        data.write_text(json.dumps(rows))
        proofs.proofs.cache_clear()
        (tmp_path / "run.json").write_text(json.dumps(run))
        return record.main([str(tmp_path / "run.json")]), json.loads(data.read_text())

    yield add
    proofs.proofs.cache_clear()


def test_a_record_becomes_a_row_for_each_combination(
    recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    former = [{"suite": "tests/litellm", "date": "2026-11-01", "tests": {"a": 1}, "gateway": "1.0"}]
    run = {
        "tests/litellm/test_a.py": module(3, gateway="1.0"),
        "tests/litellm/test_b.py": module(4, gateway="1.0"),
        "tests/litellm/test_c.py": module(5, gateway="1.0", client="2.0"),
        "tests/litellm/test_d.py": module(6),
        "tests/roles/test_e.py": module(7, failed=1, client="2.0"),
    }
    status, rows = recorded(former, run)
    assert status == 1
    assert "tests/roles/test_e.py failed" in capsys.readouterr().err
    day = {"suite": "tests/litellm", "date": "2026-11-30"}
    assert rows == [
        {**day, "tests": {"test_a": 3, "test_b": 4}, "gateway": "1.0"},
        {**day, "tests": {"test_c": 5}, "client": "2.0", "gateway": "1.0"},
    ]


OLD = {"suite": "tests/litellm", "date": "2026-11-01", "tests": {"test_keys": 1}}


def test_a_row_is_replaced_by_the_same_releases_on_the_same_system_only(recorded: Recorded) -> None:
    former = [
        {**OLD, "gateway": release, "system": system}
        for release in ("1.0", "1.1")
        for system in ("Debian 12", "Debian 13")
    ]
    keys = module(3, gateway="1.1", system="Debian 13")
    status, rows = recorded(former, {"tests/litellm/test_keys.py": keys})
    assert status == 0
    mine = {**former[3], "date": "2026-11-30", "tests": {"test_keys": 3}}
    assert sorted(rows, key=str) == sorted([*former[:3], mine], key=str)


def test_a_run_of_some_modules_leaves_the_row_of_all(
    recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {**OLD, "tests": {"test_keys": 1, "test_cache": 2, "test_of_the_past": 3}}
    row["gateway"] = "1.0"
    run = {"tests/litellm/test_keys.py": module(9, gateway="1.0")}
    assert recorded([row], run) == (1, [row])
    assert "tests/litellm ran without test_cache, which" in capsys.readouterr().err
    run["tests/litellm/test_cache.py"] = module(9, gateway="1.0")
    status, [after] = recorded([row], run)
    assert (status, after["tests"]) == (0, {"test_keys": 9, "test_cache": 9})


def test_a_module_that_failed_before_its_parts_ran_is_a_failed_run(recorded: Recorded) -> None:
    run = {
        "tests/litellm/test_keys.py": module(9, gateway="1.0", system="Debian 12"),
        "tests/litellm/test_cache.py": module(0, failed=2),
    }
    assert recorded([], run) == (1, [])
    run["tests/litellm/test_cache.py"] = module(0, failed=2, client="2.0", gateway="1.0")
    assert len(recorded([], run)[1]) == 1, "the client failed, and this module ran without it"


TESTS = """\
import pytest
from tests.record import ran_with

@pytest.fixture(scope="module", autouse=True)
def engine():
    ran_with("engine", "vllm 0.32.0-cpu")

def test_passes(): pass
def test_passes_too(): pass
def test_is_skipped(): pytest.skip("no client")
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_of_tests_records_what_passed(tmp_path: Path, workers: str) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_configure\n")
    (tmp_path / "test_engine.py").write_text(TESTS)
    (tmp_path / "test_pure.py").write_text("def test_fails(): assert False\n")
    file = tmp_path / "records/run.json"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-n",
            workers,
            "--dist=loadfile",
            "-p",
            "no:cacheprovider",
        ],
        cwd=tmp_path,
        env={**os.environ, "MIRRORFLEET_RECORD": str(file), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    found = json.loads(file.read_text())
    parts = {"engine": "vllm 0.32.0-cpu", "system": system(Path("/etc/os-release").read_text())}
    engine = found["test_engine.py"]
    assert (engine["passed"], engine["failed"], engine["parts"]) == (2, 0, parts)
    pure = found["test_pure.py"]
    assert (pure["passed"], pure["failed"], pure["parts"]) == (0, 1, {})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            'PRETTY_NAME="Debian"\nNAME="Debian GNU/Linux"\nVERSION_ID="13"\nID=debian\n',
            "Debian 13",
        ),
        ('NAME="Ubuntu"\nVERSION_ID="24.04"\n', "Ubuntu 24.04"),
    ],
)
def test_the_name_of_a_system(text: str, name: str) -> None:
    assert system(text) == name
