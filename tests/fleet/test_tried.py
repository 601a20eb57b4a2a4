"""Which releases were tested together: the record of a run, the data, and the note of `check`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
FLEET = ROOT / "tests/fleet/bad/base/whole.yml"
WHOLE = Proof(
    "tests/lab/verify",
    "2026-11-30",
    {"test_session": 2},
    "2.1.330",
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
        "2.1.330, LiteLLM 1.106.12, vLLM 0.32.0. `mirrorfleet docs matrix` lists those that they "
        "ran.\n"
    ) in printed.err
    assert "no mistakes" in printed.out
    assert main(["check", "--json", path]) == 0
    [result] = json.loads(capsys.readouterr().out)
    assert result["accepted"]
    assert [each["severity"] for each in result["problems"]].count("note") == 1
    assert main(["check", "--github", path]) == 0
    assert "::notice file=" in capsys.readouterr().err


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
    assert "| 2.1.330 | 1.106.12 | vLLM 0.32.0 for CPUs | Debian 12 |" in page
    assert "| vLLM's build for GPUs (CUDA) |" in page
    assert "test_session (2)" in page
    cuda = Proof("tests/lab/verify", "2026-12-24", {"test_session": 2}, engine="vllm 0.33.0")
    know(monkeypatch, WHOLE, cuda)
    assert "| vLLM's build for GPUs (CUDA) |" not in matrix.markdown()


def module(passed: int, failed: int = 0, **parts: str) -> dict[str, Any]:
    return {"date": "2026-11-30", "parts": parts, "passed": passed, "failed": failed}


def test_a_record_becomes_a_row_for_each_combination(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "proofs.json"
    former = [{"suite": "tests/litellm", "date": "2026-11-01", "tests": {"a": 1}, "gateway": "1.0"}]
    data.write_text(json.dumps(former))
    monkeypatch.setattr(proofs, "FILE", data)
    monkeypatch.setattr(record, "FILE", data)
    proofs.proofs.cache_clear()
    run = tmp_path / "run.json"
    run.write_text(
        json.dumps(
            {
                "tests/litellm/test_a.py": module(3, gateway="1.0"),
                "tests/litellm/test_b.py": module(4, gateway="1.0"),
                "tests/litellm/test_c.py": module(5, gateway="1.0", client="2.0"),
                "tests/litellm/test_d.py": module(6),
                "tests/roles/test_e.py": module(7, failed=1, client="2.0"),
            }
        )
    )
    try:
        assert record.main([str(run)]) == 1
    finally:
        proofs.proofs.cache_clear()
    assert "tests/roles/test_e.py failed" in capsys.readouterr().err
    day = {"suite": "tests/litellm", "date": "2026-11-30"}
    assert json.loads(data.read_text()) == [
        {**day, "tests": {"test_a": 3, "test_b": 4}, "gateway": "1.0"},
        {**day, "tests": {"test_c": 5}, "client": "2.0", "gateway": "1.0"},
    ]


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
