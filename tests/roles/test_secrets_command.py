"""`mirrorfleet secrets`: what is missing, what is made, and what is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mirrorfleet.cli.main import main
from mirrorfleet.runtime import secrets

FLEET = Path(__file__).parents[1] / "fleet/good/local.yml"


@pytest.fixture(name="file")
def new_fleet(tmp_path: Path) -> Path:
    secrets._reveal.cache_clear()
    path = tmp_path / "fleet.yml"
    path.write_text(FLEET.read_text("utf-8"), "utf-8")
    return path


def test_nothing_is_made_without_create(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["secrets", str(file)]) == 1
    out, err = capsys.readouterr()
    assert out.count(": missing\n") == 2
    assert "If this fleet runs already, copy them from where they were made" in err
    assert [*file.parent.iterdir()] == [file]


def test_missing_files_are_made_once_and_read_by_the_run(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["secrets", "--create", str(file)]) == 0
    made = {path.name: path.read_text() for path in (file.parent / "secrets").iterdir()}
    assert sorted(made) == ["key-root", "master-key"]
    assert made["master-key"].startswith("sk-")
    assert (file.parent / "secrets").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (file.parent / "secrets").iterdir()} == {0o600}
    assert (file.parent / ".gitignore").read_text() == "/secrets/\n"
    assert main(["check", "--secrets", str(file)]) == 0
    assert main(["secrets", "--create", str(file)]) == 0
    assert {path.name: path.read_text() for path in (file.parent / "secrets").iterdir()} == made
    printed = "".join(capsys.readouterr())
    assert not any(value.strip() in printed for value in made.values())


def test_a_rule_of_git_above_suffices(file: Path) -> None:
    subprocess.run(["git", "init", "-q", str(file.parent)], check=True, timeout=120)
    (file.parent / ".gitignore").write_text("secrets\n")
    assert main(["secrets", "--create", str(file)]) == 0
    assert (file.parent / ".gitignore").read_text() == "secrets\n"


def test_a_file_that_others_can_read_is_refused(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["secrets", "--create", str(file)]) == 0
    root = file.parent / "secrets/key-root"
    monkeypatch.setattr(
        secrets, "exposure", lambda path: f"Run: chmod 600 {path}" if path == root else ""
    )
    assert main(["check", "--secrets", str(file)]) == 1
    assert (
        f"{{file: secrets/key-root}} is refused: Run: chmod 600 {root}" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("directory", "mode", "exposed"),
    [(0o755, 0o644, True), (0o755, 0o640, False), (0o700, 0o644, False)],
)
def test_a_directory_that_others_cannot_enter_protects_its_files(
    directory: int, mode: int, exposed: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "key").write_text("value")
    (folder / "key").chmod(mode)
    folder.chmod(directory)
    parents = [each for each in folder.parents if not each.stat().st_mode & 0o001]
    assert bool(secrets.exposure(folder / "key")) == (exposed and not parents)
