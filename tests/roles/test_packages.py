"""Packages for machines without SSH: their content, and real runs of the installer."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import plistlib
import re
import shutil
import subprocess
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet.jobs import package
from mirrorfleet.planning import ClaudePlan
from mirrorfleet.planning.claude import packaged
from mirrorfleet.roles.claude import user_settings
from mirrorfleet.roles.claude.client import binary
from mirrorfleet.roles.claude.installer import Packages, installer, user_files
from mirrorfleet.roles.claude.json_file import written
from mirrorfleet.roles.claude.render import isolated
from mirrorfleet.runtime import secrets
from mirrorfleet.runtime.facts import User
from mirrorfleet.runtime.facts.homes import HomeFile, HomeFileState
from mirrorfleet.runtime.observe import assumed
from mirrorfleet.runtime.secrets import reveal
from tests.roles import programs
from tests.roles.fleets import ROOT, good, stand_in
from tests.roles.machine import as_root

FLEET = ROOT / "tests/fleet/good/packaged.yml"
OWN = b'{"theme":"dark",  "env": {"EDITOR": "vi"}}'


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STAFF_KEY", "GUESTS_KEY", "LAB_KEY"):
        monkeypatch.setenv(name, f"sk-{name.lower()}")
    monkeypatch.setenv("KEY_ROOT", "9b74c9897bac770ffc029102a200c5de")
    secrets._reveal.cache_clear()


def plan(group: str, login: str | None = None) -> ClaudePlan:
    fleet = good("packaged").fleet
    return packaged(fleet, fleet.developers[group], login or fleet.developers[group].logins[0])


def made(out: Path, group: str, user: str | None = None) -> dict[str, Path]:
    assert package.main(str(FLEET), group, out, user, with_client=False) == 0
    return {str(path.relative_to(out)): path for path in out.rglob("*") if path.is_file()}


def policy() -> dict[str, Any]:
    managed = plan("staff").managed
    assert managed
    return dict(managed.settings)


def test_files_for_macos_hold_the_policy_and_are_reproducible(tmp_path: Path) -> None:
    files = made(tmp_path / "one", "staff")
    assert json.loads(files["macos/managed-settings.json"].read_bytes()) == policy()
    profile = plistlib.loads(files["macos/staff.mobileconfig"].read_bytes())
    [payload] = profile["PayloadContent"]
    assert (profile["PayloadType"], profile["PayloadScope"]) == ("Configuration", "System")
    assert payload["PayloadType"] == "com.anthropic.claudecode"
    assert payload["PayloadUUID"] != profile["PayloadUUID"]
    settings = {name: value for name, value in payload.items() if not name.startswith("Payload")}
    assert settings == policy()
    again = made(tmp_path / "two", "staff")
    assert {name: path.read_bytes() for name, path in files.items()} == {
        name: path.read_bytes() for name, path in again.items()
    }


def test_files_for_windows_hold_the_policy_for_disk_and_registry(tmp_path: Path) -> None:
    files = made(tmp_path, "staff")
    helper = r'type "%USERPROFILE%\.claude\mirrorfleet-key"'
    expected = policy() | {"apiKeyHelper": helper}
    assert json.loads(files["windows/managed-settings.json"].read_bytes()) == expected
    raw = files["windows/staff.reg"].read_bytes()
    assert raw.startswith(b"\xff\xfe")
    lines = raw[2:].decode("utf-16-le").split("\r\n")
    head, nothing, place, value, *end = lines
    assert (head, nothing, end) == ("Windows Registry Editor Version 5.00", "", ["", ""])
    assert place == r"[HKEY_LOCAL_MACHINE\SOFTWARE\Policies\ClaudeCode]"
    match = re.fullmatch(r'"Settings"="((?:[^"\\]|\\["\\])*)"', value)
    assert match
    text = re.sub(r"\\(.)", r"\1", match[1])
    # The client reads the output of reg.exe like this: the rest of one line.
    answer = f"\r\nHKEY_LOCAL_MACHINE\\X\r\n    Settings    REG_SZ    {text}\r\n\r\n"
    read = re.search(r"^[ \t]+Settings[ \t]+REG_(?:EXPAND_)?SZ[ \t]+([\s\S]*)", answer, re.M | re.I)
    assert read and json.loads(read[1]) == expected
    assert b"THE_KEY" not in files["windows/install.ps1"].read_bytes()


@pytest.mark.parametrize(
    ("group", "user"), [("staff", None), ("staff", "ada"), ("guests", "linus"), ("lab", None)]
)
def test_shellcheck_accepts_the_scripts(tmp_path: Path, group: str, user: str | None) -> None:
    files = made(tmp_path / "package", group, user)
    scripts = [path.read_text() for name, path in files.items() if name.endswith(".sh")]
    assert scripts
    scripts += [
        isolated(client, binary(client.version)).decode() for client in plan(group).isolated
    ]
    assert programs.shellcheck(tmp_path, scripts) == ""


def test_a_key_is_only_in_files_of_its_developer_with_mode_600(tmp_path: Path) -> None:
    shared = made(tmp_path, "staff")
    assert not any(b"sk-staff_key" in path.read_bytes() for path in shared.values())
    both = made(tmp_path, "staff", "ada")
    own = {name: path for name, path in both.items() if name not in shared}
    assert own.keys() == {"ada/install.sh", "ada/key.ps1"}
    for path in own.values():
        assert b"sk-staff_key" in path.read_bytes()
        assert path.stat().st_mode & 0o777 == 0o600


def test_gateways_accept_the_key_of_a_package(tmp_path: Path) -> None:
    gateway = good("packaged").hosts["gw"].gateway
    assert gateway
    [known] = [key for key in gateway.keys if key.name == "linus"]
    script = made(tmp_path, "guests", "linus")["linus/install.sh"].read_text()
    assert f"the_key() {{ printf '%s' {reveal(known.key)}; }}" in script


@pytest.mark.parametrize(
    ("group", "user", "message"),
    [
        ("stuff", None, "There is no group 'stuff'. Did you mean 'staff'?"),
        ("staff", "grase", "The group 'staff' has no 'grase'. Did you mean 'grace'?"),
    ],
)
def test_an_unknown_group_or_user_gets_a_suggestion(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], group: str, user: str | None, message: str
) -> None:
    assert package.main(str(FLEET), group, tmp_path / "out", user, with_client=False) == 1
    assert capsys.readouterr().err.strip() == message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("group", "user", "environment", "message"),
    [
        (
            "guests",
            "linus",
            {"KEY_ROOT": "abc"},
            "guests: keys cannot be derived from {env: KEY_ROOT}: it is 3 characters long; "
            "the minimum is 32. Create a random one, for example with: openssl rand -hex 32.",
        ),
        (
            "staff",
            "ada",
            {"KEY": "sk-staff_key"},
            "staff: 'ada' would get the gateways' master key: {env: STAFF_KEY} and {env: KEY} are "
            "the same. Create another key.",
        ),
    ],
)
def test_an_unsafe_key_is_not_packaged(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    group: str,
    user: str,
    environment: dict[str, str],
    message: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert package.main(str(FLEET), group, tmp_path / "out", user, with_client=False) == 1
    assert capsys.readouterr().err.strip() == message
    assert not (tmp_path / "out").exists()


# The installer, in a home in a directory, with a stand-in for the client in a real tarball.


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def write_installer(beside: Path, group: str, key: str | None) -> Path:
    """Write the installer of a group, and the client's package beside it."""
    beside.mkdir(exist_ok=True)
    (beside / "package").mkdir(exist_ok=True)
    stand_in(beside / "package/claude", "echo a stand-in")
    with tarfile.open(beside / "client.tgz", "w:gz") as archive:
        archive.add(beside / "package/claude", "package/claude")
    digest = hashlib.sha512((beside / "client.tgz").read_bytes()).hexdigest()
    packages: Packages = dict.fromkeys(
        ("Linux x86_64", "Linux aarch64"), ("@a/client", "client.tgz", digest)
    )
    script = beside / "install.sh"
    script.write_bytes(installer(plan(group), packages, key))
    return script


@cache
def as_developer() -> list[str]:
    """Return the words before a command that must not be root; skip the test if there is no way."""
    outside = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    if programs.run([*outside, "true"]).returncode:
        pytest.skip("needs user namespaces")
    return outside


def run(
    script: Path, home: Path, *arguments: str, shell: str = "sh", root: bool = False
) -> subprocess.CompletedProcess[str]:
    return programs.run(
        [*(as_root() if root else as_developer()), shell, str(script), *arguments],
        env={"HOME": str(home), "PATH": f"{home}/.local/bin:/usr/local/bin:/usr/bin:/bin"},
    )


def tree(root: Path) -> dict[str, bytes | str]:
    return {
        str(path.relative_to(root)): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
@pytest.mark.parametrize("group", ["staff", "guests", "lab"])
def test_every_shell_parses_the_installer(tmp_path: Path, shell: str, group: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell} on this machine")
    script = write_installer(tmp_path, group, "sk-it's")
    command = [shell, *(["sh"] if shell == "busybox" else []), "-n", str(script)]
    done = programs.run(command)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_installer_needs_no_newer_python_than_that_of_a_mac() -> None:
    """3.9 is Apple's. What it can parse but not run: `isinstance(x, a | b)`, `zip(strict=...)`."""
    calls = [
        node
        for node in ast.walk(ast.parse(user_files(), feature_version=(3, 9)))
        if isinstance(node, ast.Call)
    ]
    assert calls
    unions = [
        ast.unparse(call)
        for call in calls
        if ast.unparse(call.func) == "isinstance" and isinstance(call.args[1], ast.BinOp)
    ]
    strict = [ast.unparse(call) for call in calls if "strict" in {key.arg for key in call.keywords}]
    assert (unions, strict) == ([], [])


def test_the_installer_writes_the_same_files_as_a_run_over_ssh(tmp_path: Path, home: Path) -> None:
    (home / ".claude").mkdir()
    (home / ".claude/settings.json").write_bytes(OWN)
    script = write_installer(tmp_path / "package", "guests", reveal(plan("guests").users[0].key))
    done = run(script, home)
    assert (done.returncode, done.stderr) == (0, "")
    [developer] = plan("guests").users
    found = {
        User(developer.user): "/home/ada",
        HomeFile(developer.user, ".claude/settings.json"): HomeFileState("644", OWN),
    }
    for file in user_settings.desired_files(developer, assumed(found)):
        assert (home / file.path).read_bytes() == file.content, file.path
        assert (home / file.path).stat().st_mode & 0o777 == int(file.mode, 8)
    assert (home / ".local/bin/claude").resolve().stat().st_mode & 0o111
    after = tree(home)
    assert run(script, home, shell="bash").returncode == 0
    assert tree(home) == after
    assert run(script, home, "--remove").returncode == 0
    assert tree(home) == {".claude/settings.json": OWN}


@pytest.mark.parametrize("content", [b"{not json", b"[]"])
def test_a_file_that_is_not_a_json_object_is_reported_and_not_changed(
    tmp_path: Path, home: Path, content: bytes
) -> None:
    (home / ".claude.json").write_bytes(content)
    done = run(
        write_installer(tmp_path / "package", "guests", reveal(plan("guests").users[0].key)), home
    )
    assert done.returncode == 1
    assert "correct or move it; nothing was changed" in done.stderr
    assert (home / ".claude.json").read_bytes() == content
    assert not (home / ".claude").exists()


def test_a_link_out_of_the_home_is_not_followed(tmp_path: Path, home: Path) -> None:
    (tmp_path / "away").mkdir()
    (home / ".claude").symlink_to(tmp_path / "away")
    done = run(
        write_installer(tmp_path / "package", "guests", reveal(plan("guests").users[0].key)), home
    )
    assert done.returncode == 1
    assert "outside of your home" in done.stderr
    assert list((tmp_path / "away").iterdir()) == []


def test_an_isolated_client_is_a_command_and_a_directory_and_manual_changes_stay(
    tmp_path: Path, home: Path
) -> None:
    script = write_installer(tmp_path / "package", "lab", "sk-lab_key")
    assert run(script, home).returncode == 0
    after = tree(home)
    [developer] = plan("lab").users
    assert after[".claude-lab/settings.json"] == written(developer.settings)
    assert after[".claude-lab/mirrorfleet-key"] == b"sk-lab_key"
    assert not any(name.startswith(".claude/") for name in after)
    started = subprocess.run(
        [home / ".local/bin/claude-lab"], env={"HOME": str(home)}, text=True, timeout=120
    )
    assert started.returncode == 0
    assert run(script, home).returncode == 0
    assert tree(home) == after
    (home / ".claude-lab/settings.json").write_text("{}")
    done = run(write_installer(tmp_path / "rotated", "lab", "sk-new"), home)
    assert done.returncode == 1 and "changed by hand" in done.stderr
    assert tree(home)[".claude-lab/mirrorfleet-key"] == b"sk-new"
    (home / ".claude-lab/settings.json").unlink()
    assert run(script, home, "--remove").returncode == 0
    assert tree(home).keys() <= {".claude-lab/.claude.json"}


# A program that kills the installer at its n-th call.
CUT = """\
echo >>"$CUTS/done"
[ "$(wc -l <"$CUTS/done")" -lt "$(cat "$CUTS/at")" ] || {{ kill -9 $PPID; exit 1; }}
exec {program} "$@"
"""


def cut(script: Path, home: Path, at: int, *arguments: str) -> bool:
    """Run an installer, and kill it at the n-th program; return whether it was killed."""
    cuts = script.parent / "cuts"
    cuts.mkdir(exist_ok=True)
    (cuts / "at").write_text(str(at))
    (cuts / "done").unlink(missing_ok=True)
    for name in ("chmod", "mv", "rm"):
        stand_in(cuts / name, CUT.format(program=shutil.which(name)))
    done = programs.run(
        [*as_developer(), "sh", str(script), *arguments],
        env={"HOME": str(home), "PATH": f"{cuts}:{os.environ['PATH']}", "CUTS": str(cuts)},
    )
    return done.returncode != 0


@pytest.mark.slow
def test_an_interrupted_installation_can_be_completed_and_removed(
    tmp_path: Path, home: Path
) -> None:
    new = write_installer(tmp_path / "new", "lab", "sk-lab_key")
    old = write_installer(tmp_path / "old", "lab", "sk-former")
    text = old.read_text()
    assert text.count('"DISABLE_AUTOUPDATER": "1"') == 1
    old.write_text(text.replace('"DISABLE_AUTOUPDATER": "1"', '"DISABLE_AUTOUPDATER": "0"'))
    assert run(old, home).returncode == 0
    shutil.copytree(home, tmp_path / "before", symlinks=True)

    def again(name: str) -> None:
        shutil.rmtree(home)
        shutil.copytree(tmp_path / name, home, symlinks=True)

    for at in range(1, 100):
        again("before")
        was_cut = cut(new, home, at)
        shutil.copytree(home, tmp_path / f"cut-{at}", symlinks=True)
        done = run(old, home)
        assert (done.returncode, done.stderr) == (0, ""), at
        assert tree(home) == tree(tmp_path / "before"), at
        again(f"cut-{at}")
        if cut(new, home, at, "--remove"):
            assert run(new, home, "--remove").returncode == 0, at
        assert tree(home).keys() <= {".claude-lab/.claude.json"}, at
        if not was_cut:
            break
    assert 10 < at < 99, "the loop reaches the last program that changes something"


def test_removing_one_package_keeps_the_client_for_another(tmp_path: Path, home: Path) -> None:
    own = write_installer(tmp_path / "own", "guests", reveal(plan("guests").users[0].key))
    mirror = write_installer(tmp_path / "mirror", "lab", "sk-lab_key")
    for first, other, command in [(own, mirror, "claude-lab"), (mirror, own, "claude")]:
        assert (run(first, home).returncode, run(other, home).returncode) == (0, 0)
        assert run(first, home, "--remove").returncode == 0
        started = subprocess.run(
            [home / ".local/bin" / command], env={"HOME": str(home)}, timeout=120
        )
        assert started.returncode == 0
        assert run(other, home, "--remove").returncode == 0
        assert not (home / ".local/share/mirrorfleet/claude/2.1.331").exists()


def test_a_client_that_is_not_pinned_is_rejected(tmp_path: Path, home: Path) -> None:
    script = write_installer(tmp_path / "package", "guests", reveal(plan("guests").users[0].key))
    (tmp_path / "package/client.tgz").write_bytes(b"another")
    done = run(script, home)
    assert done.returncode == 1
    assert "another client.tgz than the one that is pinned" in done.stderr
    assert tree(home) == {}


def test_only_the_policy_is_installed_as_root(tmp_path: Path, home: Path) -> None:
    shared = write_installer(tmp_path / "package", "staff", None)
    assert "run it as root" in run(shared, home).stderr
    own = write_installer(tmp_path / "own", "staff", "sk-staff_key")
    assert "as the developer, not as root" in run(own, home, root=True).stderr
    assert tree(home) == {}


def test_a_policy_is_installed_for_the_machine_and_a_key_for_a_user(
    tmp_path: Path, home: Path
) -> None:
    shared = write_installer(tmp_path / "package", "staff", None)
    text, machine = shared.read_text(), tmp_path / "machine"
    for place in ("/etc/claude-code", "/opt/mirrorfleet", "/usr/local/bin"):
        (machine / place.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        text = text.replace(place, str(machine / place.lstrip("/")))
    shared.write_text(text)
    done = run(shared, home, root=True)
    assert (done.returncode, done.stderr) == (0, "")
    placed = tree(machine)
    assert placed["etc/claude-code/managed-settings.d/50-mirrorfleet.json"] == written(policy())
    assert run(shared, home, root=True).returncode == 0
    assert tree(machine) == placed
    own = write_installer(tmp_path / "own", "staff", "sk-staff_key")
    assert run(own, home).returncode == 0
    assert tree(home)[".claude/mirrorfleet-key"] == b"sk-staff_key"
    assert json.loads(tree(home)[".claude.json"]) == {"hasCompletedOnboarding": True}
    assert run(shared, home, "--remove", root=True).returncode == 0
    assert tree(machine) == {}
    assert run(own, home, "--remove").returncode == 0
    assert ".claude/mirrorfleet-key" not in tree(home)
