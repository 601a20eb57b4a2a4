"""Broken and malicious homes: each is skipped, and the others are changed."""

from __future__ import annotations

import base64
import json
import os
import resource
import stat
import subprocess
import time
import zlib
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorfleet.jobs.verify import turns
from mirrorfleet.jobs.verify.turns import Turn
from mirrorfleet.roles.claude import user_settings
from mirrorfleet.roles.claude.backup_file import read_backups
from mirrorfleet.roles.claude.facts import home_facts
from mirrorfleet.roles.claude.json_file import LIMIT, InvalidFile
from mirrorfleet.roles.claude.machine_files import ASSIGNMENT_LIST
from mirrorfleet.runtime import files
from mirrorfleet.runtime.commands import script
from mirrorfleet.runtime.facts import Listening, User
from mirrorfleet.runtime.facts.homes import HomeFile as HomeFact
from mirrorfleet.runtime.facts.homes import HomeFileState as Found
from mirrorfleet.runtime.files import HomeFile
from mirrorfleet.runtime.observe import Observation, assumed
from mirrorfleet.runtime.shell import shell
from tests.roles.answers import Answers, converged
from tests.roles.conftest import Planned
from tests.roles.fake import mirror
from tests.roles.fleets import edit
from tests.roles.jobs import jobs
from tests.roles.machine import Machine
from tests.roles.problems import texts
from tests.roles.test_cut_runs import ASSIGNMENT, developer
from tests.roles.test_cut_runs import observed as at_home
from tests.roles.test_home_files import SETTINGS, all_files, observe, write
from tests.roles.test_home_files import home as _home

home = _home
observation = import_module("mirrorfleet.runtime.observe")
CLAUDE = (ASSIGNMENT.settings, ASSIGNMENT.state, ASSIGNMENT.key, ASSIGNMENT.backup)


def asked(machine: Machine) -> Observation:
    return machine.observe(*home_facts("ada", ".claude"))


def reasons(observed: Observation) -> list[str]:
    return texts(user_settings.restore_problems(ASSIGNMENT, observed))


@pytest.mark.parametrize("linked", [False, True], ids=["the file", "the target of a link"])
@pytest.mark.parametrize("path", CLAUDE)
def test_a_pipe_in_a_home_blocks_nothing(
    machine: Machine, home: Path, path: str, linked: bool
) -> None:
    (home / ".claude").mkdir()
    if linked:
        os.mkfifo(home / "pipe")
        (home / path).symlink_to(home / "pipe")
    else:
        os.mkfifo(home / path)
    began = time.monotonic()
    observed = asked(machine)
    assert reasons(observed) == [f"~ada/{path} is not a regular file. Move it, then run again."]
    # The same for a pipe that appears after the observation.
    reported = write(machine, [HomeFile("ada", path, b"{}")], assumed())
    assert [(outcome, user) for outcome, user, _ in reported] == [("skipped", "ada")]
    assert "is not a regular file" in reported[0][2]
    assert time.monotonic() - began < 8


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/dev/zero", "is not a regular file"),
        ("/etc", "is not a regular file"),
        ("huge", "is larger than 8 MiB"),
    ],
)
def test_only_regular_files_of_a_sane_size_are_read(
    machine: Machine, home: Path, target: str, reason: str
) -> None:
    (home / ".claude").mkdir()
    with (home / "huge").open("wb") as huge:
        huge.truncate(10**12)
    (home / ".claude/settings.json").symlink_to(home / target)
    [problem] = reasons(asked(machine))
    assert problem.startswith(f"~ada/.claude/settings.json {reason}")


def test_reading_a_home_has_a_timeout(
    machine: Machine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Examples are a pipe created after the test of the file, and a stopped process."""
    (home / ".claude.json").write_text("{}")
    machine.add("base64", "kill -STOP $PPID; sleep 60")
    functions = observation._functions
    hurried = lambda path: functions(path).replace("patience=10", "patience=1")  # noqa: E731
    monkeypatch.setattr(observation, "_functions", hurried)
    began = time.monotonic()
    observed = asked(machine)
    assert time.monotonic() - began < 6
    files = [value for fact, value in observed.values.items() if isinstance(fact, HomeFact)]
    assert {file.mode for file in files if file} == {"slow"}
    assert user_settings.restored_files(ASSIGNMENT, observed) == []
    assert reasons(observed)[0].startswith("~ada/.claude/mirrorfleet-key cannot be read")


def test_writing_a_home_has_a_timeout(
    machine: Machine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine.root / "home/grace").mkdir()
    shell = 'case $PWD in *ada) kill -STOP $PPID; sleep 60 ;; esac; exec /bin/mktemp "$@"'
    machine.add("mktemp", shell)
    monkeypatch.setattr(files, "HOMES", files.HOMES.replace("patience=30", "patience=1"))
    began = time.monotonic()
    reported = write(machine, [SETTINGS, HomeFile("grace", SETTINGS.path, b"{}")], assumed())
    assert time.monotonic() - began < 10
    assert [(outcome, user) for outcome, user, _ in reported] == [("skipped", "ada")]
    assert "the home does not answer in time" in reported[0][2]
    assert (machine.root / "home/grace" / SETTINGS.path).read_bytes() == b"{}"


@pytest.mark.parametrize(
    "forged",
    [
        r"x\nuser\tmallory\t/\nmachine\tplan9\t1\tx\t1\t1",
        r"x\ty\tz\tw",
        r"\377\200\033[2J",
        "x",
        "",
    ],
)
def test_a_home_cannot_forge_answers_of_the_host(machine: Machine, home: Path, forged: str) -> None:
    """The user owns the process that reads the home, and can make it print anything."""
    (home / ".claude.json").write_text("{}")
    machine.add("base64", f"printf '{forged}'")
    mallory = User("mallory")
    observed = machine.observe(*home_facts("ada", ".claude"), mallory)
    assert observed[mallory] is None
    assert observed[User("ada")] == str(home)
    assert observed.machine.system != "plan9"
    found = observed[HomeFact("ada", ".claude.json")]
    assert found and (found.mode == "unreadable" or not found.content)


def test_a_home_cannot_forge_messages_of_another_home(machine: Machine, home: Path) -> None:
    machine.add("readlink", r"printf 'a\nskipped\troot\tpay\033[1m\n' >&2; exit 1")
    [(outcome, user, reason)] = write(machine, [SETTINGS], assumed())
    assert (outcome, user) == ("skipped", "ada")
    assert reason.isprintable()


def test_a_process_cannot_forge_names_of_other_processes(machine: Machine) -> None:
    machine.add("ss", r"echo 'LISTEN 0 1 0.0.0.0:4000 0.0.0.0:* users:((\"x\",pid=7,fd=3))'")
    ports = [Listening(4000), Listening(1)]
    text = observation.script(ports).replace("/proc/$1", f"{machine.root}/p")
    (machine.root / "p").mkdir()
    (machine.root / "p/cgroup").write_text("0::/init.scope\n")
    (machine.root / "p/comm").write_text("x\\nport\t1\t\\033y\n")
    done = machine._run(["dash", "-s"], text)
    observed = observation.parse(ports, done.stdout.splitlines())
    assert [observed[port] for port in ports] == [{"x\\nport1\\033y"}, set()]


FORGED = r"Welcome!\ndeveloper\tlab\tgrace\nturn\tanswer\t0\tyes\t\t\nturn\tx\ty\tz\t%%\t%%\n"


def test_a_login_shell_cannot_forge_answers_of_other_users_and_has_a_timeout(
    machine: Machine,
) -> None:
    machine.add("runuser", f"printf '{FORGED}'; sleep 60")
    calls = "as_developer lab grace 1 <<'END'\nEND\nas_developer lab ada 1 <<'END'\nEND"
    began = time.monotonic()
    done = machine._run(
        ["sh", "-s"], observation.script([], shell(turns.HERE / "developer.sh") + calls)
    )
    assert time.monotonic() - began < 10
    found = turns.parse_report([], done.stdout.splitlines()).turns
    assert found == {("lab", user): {"answer": Turn(0, True, "", "")} for user in ("grace", "ada")}


# The lock and the output of a run: no user can get them.


def test_only_root_can_open_the_lock_of_a_run(machine: Machine) -> None:
    earlier = machine.at("/var/lib/mirrorfleet/lock")
    earlier.touch(0o644)
    with earlier.open() as held:  # any user could lock the file of earlier releases
        lock_it = ["flock", "--timeout", "30", str(held.fileno())]
        subprocess.run(lock_it, pass_fds=[held.fileno()], check=True, timeout=120)
        began = time.monotonic()
        assert machine.run(script("true\n")).returncode == 0
        assert time.monotonic() - began < 5
    lock = machine.at("/var/lib/mirrorfleet/run/lock")
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    assert stat.S_IMODE(lock.parent.stat().st_mode) == 0o700
    assert not earlier.exists()


def test_the_shell_of_a_user_inherits_neither_the_lock_nor_the_output(
    machine: Machine, home: Path
) -> None:
    record = 'for at in 0 1 2 9; do readlink "/proc/$$/fd/$at"; done | cat >"$ROOT/held"'
    machine.add("runuser", f'{record}; shift 3; exec "$@"')
    assert write(machine, [SETTINGS], assumed()) == []
    held = (machine.root / "held").read_text().splitlines()
    output = str(machine.at("/var/lib/mirrorfleet/stage/out"))
    assert held == ["/dev/null", output, output]


def test_the_next_run_removes_keys_that_a_killed_run_left(machine: Machine, home: Path) -> None:
    machine.add("getent", "kill -9 $(ps -o ppid= $PPID)")
    key = HomeFile("ada", ASSIGNMENT.key, b"sk-of-ada")
    [command] = files.write([key], assumed(), lambda *_: None)
    assert machine.run(command).returncode != 0
    stage = machine.at("/var/lib/mirrorfleet/stage")
    left = [path for path in machine.root.rglob("*") if path.is_file() and holds(path, b"sk-of")]
    assert [path.parent for path in left] == [stage]
    machine.add("getent", 'shift; echo "$1:x:1000:1000::$ROOT/home/$1:/bin/sh"')
    assert write(machine, [SETTINGS], assumed()) == []
    assert not stage.exists()


def holds(path: Path, text: bytes) -> bool:
    return text in path.read_bytes()


# Another program that saves the same file while the script writes it.
SAVE = """\
[ -e "$ROOT/saved" ] || {{
    touch "$ROOT/saved"
    echo '{{"by": "the client"}}' >"$ROOT/home/ada/new"
    mv "$ROOT/home/ada/new" "$ROOT/home/ada/.claude/settings.json"
}}
exec /usr/bin/{program} "$@"
"""


@pytest.mark.parametrize("program", ["sha256sum", "mktemp", "cat", "chmod", "perl"])
@pytest.mark.parametrize("existing", [True, False], ids=["an existing file", "no file"])
def test_a_file_that_the_client_saves_at_the_same_time_is_not_lost(
    machine: Machine, home: Path, program: str, existing: bool
) -> None:
    (home / ".claude").mkdir()
    if existing:
        (home / ".claude/settings.json").write_text("{}")
    observed = observe(machine, SETTINGS)
    machine.add(program, SAVE.format(program=program))
    reported = write(machine, [SETTINGS], observed)
    saved = (machine.root / "saved").exists()
    assert saved == (existing or program not in ("sha256sum", "perl"))
    assert [outcome for outcome, *_ in reported] == ["changed"] * saved
    if saved:
        assert json.loads((home / SETTINGS.path).read_text()) == {"by": "the client"}
    assert all_files(home) == {SETTINGS.path}


# The settings backup is in the home, so the user can write anything into it.


def backup_bytes(content: Any) -> bytes:
    return json.dumps(content).encode()


def backup_entry(**other: Any) -> Any:
    return {"written": "0" * 64, "original": None, "changes": []} | other


@pytest.mark.parametrize(
    "forged",
    [
        backup_entry(changes=[{"path": [], "now": 1}]),
        backup_entry(changes=[{"path": ["model"], "added": ["x"]}]),
        backup_entry(changes=[{"path": ["permissions", "allow"], "added": 5}]),
        backup_entry(changes=[{"path": ["a"] * 10_000, "now": 1}]),
        backup_entry(changes={"path": ["a"]}),
        backup_entry(changes=[{"path": "model", "now": 1}]),
        backup_entry(changes=[{"path": [1], "now": 1}]),
        backup_entry(written=1),
        backup_entry(original="AAAA"),
        backup_entry(replaced=5),
        5,
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_a_forged_backup_is_rejected(forged: Any) -> None:
    with pytest.raises(InvalidFile, match="is not a settings backup of Mirrorfleet"):
        read_backups(backup_bytes({"files": {ASSIGNMENT.settings: forged}}))


@pytest.mark.slow
def test_a_backup_that_unpacks_to_gigabytes_is_not_unpacked() -> None:
    pack = zlib.compressobj(9)
    bomb = b"".join(pack.compress(bytes(2**20)) for _ in range(1024)) + pack.flush()
    packed = base64.b64encode(bomb).decode()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidFile, match="is not a settings backup of Mirrorfleet"):
        read_backups(backup_bytes({"files": {ASSIGNMENT.settings: backup_entry(original=packed)}}))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 200 * 1024  # kB


@pytest.mark.slow
def test_a_backup_that_is_too_large_to_read_is_not_written() -> None:
    """Use incompressible text of almost the maximum size, twice."""
    noise = base64.b64encode(os.urandom(LIMIT // 4 * 3 - 1000)).decode()
    content = Found("600", json.dumps({"noise": noise}).encode())
    observed = at_home(
        {ASSIGNMENT.file(ASSIGNMENT.settings): content, ASSIGNMENT.file(ASSIGNMENT.state): content}
    )
    client = developer({"model": "coder"}, {"hasCompletedOnboarding": True})
    [reason] = texts(user_settings.problems(client, observed))
    assert "the new ~ada/.claude/mirrorfleet-receipt.json holds more than 8 MiB." in reason
    assert [file.path for file in user_settings.desired_files(client, observed)] == [ASSIGNMENT.key]


OWNED = {"permissions": {"allow": ["WebFetch"], "deny": ["Read(.env)"]}, "env": {"A": "1"}}
ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "path", "env", "AAAA"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["path", "now", "before", "added", "written", "changes", "allow", "env"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


def places(document: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of each value in a JSON document."""
    items = document if is_list(document) else ()
    inner = document.items() if isinstance(document, dict) else enumerate(items)
    return [at, *(place for name, value in inner for place in places(value, (*at, name)))]


def is_list(document: Any) -> bool:
    return isinstance(document, list)


def mutated(document: Any, at: tuple[Any, ...], value: Any) -> Any:
    if not at:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[at[0]] = mutated(document[at[0]], at[1:], value)
    return copy


@pytest.mark.slow
@settings(max_examples=400)
@given(st.data())
def test_no_backup_causes_a_traceback(data: st.DataObject) -> None:
    theirs = b'{"permissions": {"allow": ["x"], "deny": 5}, "env": {"A": "0"}}'
    client = developer(OWNED, {"hasCompletedOnboarding": True})
    existing = {ASSIGNMENT.file(ASSIGNMENT.settings): Found("600", theirs)}
    for file in user_settings.desired_files(client, at_home(existing)):
        if file.content is not None:
            existing[file.fact] = Found(file.mode, file.content)
    document = json.loads(existing[ASSIGNMENT.file(ASSIGNMENT.backup)].content)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.sampled_from(places(document)))
        document = mutated(document, at, data.draw(ANY))
    existing[ASSIGNMENT.file(ASSIGNMENT.backup)] = Found("600", json.dumps(document).encode())
    if data.draw(st.booleans()):
        existing[ASSIGNMENT.file(ASSIGNMENT.settings)] = Found(
            "600", json.dumps(data.draw(ANY)).encode()
        )
    observed = at_home(existing)
    for desired in (
        user_settings.desired_files(client, observed),
        user_settings.restored_files(ASSIGNMENT, observed),
    ):
        list(user_settings.changes(desired, [client], observed))
    assert all(
        reason.startswith("~ada/") for reason in texts(user_settings.problems(client, observed))
    )


# In complete runs.


@pytest.fixture
def found(plans: Planned, offline_cache: None) -> dict[str, Answers]:
    return {name: converged(plan) for name, plan in plans("prod").hosts.items()}


BROKEN = {
    "no JSON": (ASSIGNMENT.settings, ("600", base64.b64encode(b"{").decode())),
    "Latin-1": (ASSIGNMENT.settings, ("600", base64.b64encode(b'{"a": "\xff"}').decode())),
    "not a number": (ASSIGNMENT.state, ("600", base64.b64encode(b'{"a": NaN}').decode())),
    "a link to /etc/shadow": (ASSIGNMENT.settings, ("unreadable", "")),
    "a pipe": (ASSIGNMENT.key, ("irregular", "")),
    "a forged backup": (ASSIGNMENT.backup, ("600", base64.b64encode(b"[]").decode())),
    "no answer": (ASSIGNMENT.state, ("slow", "")),
    "nonsense": (ASSIGNMENT.state, ("rwx", "%%%")),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_home_does_not_delay_the_revocation_of_its_key(
    plans: Planned,
    project: Path,
    found: dict[str, Answers],
    broken: tuple[str, tuple[str, ...]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    path, answer = broken
    for name in ("dev-1", "dev-2"):
        found[name]["assignments", ASSIGNMENT_LIST, "grace"] = (".claude",)
    found["dev-1"]["home_file", "grace", path] = answer
    edit(project, "prod", "users: [ada, grace]", "users: [ada]")
    done = mirror(plans("prod").hosts, found)
    assert {name for name, traffic in done.items() if traffic.failed} == {"dev-1"}
    for gateway in ("gw-a", "gw-b"):
        assert jobs(done[gateway]) == ["keys", "former keys"]
        [admit, _] = done[gateway].execs
        assert '"name": "grace"' not in json.loads(admit.stdin)["keys"]
    assert jobs(done["dev-2"]) == ["home files", "machine files"]
    reported = [click.unstyle(line) for line in caplog.messages]
    skipped = [line for line in reported if "skipped: ~grace/" in line]
    assert len(skipped) == 2, "at once, and at the end"
    # The next run tries again, except for a key that is removed in this run.
    assert jobs(done["dev-1"]) == ([] if path == ASSIGNMENT.key else ["home files"])


def test_a_broken_home_gets_its_new_key_and_other_homes_get_all_files(
    plans: Planned, project: Path, found: dict[str, Answers]
) -> None:
    found["dev-1"]["home_file", "ada", ASSIGNMENT.settings] = ("600", "ew==")
    edit(project, "prod", "MIRRORFLEET_KEY_ROOT}", "MIRRORFLEET_KEY_ROOT}, rotation: 2")
    done = mirror(plans("prod").hosts, found)
    assert {name for name, traffic in done.items() if traffic.failed} == {"dev-1"}
    assert jobs(done["dev-1"]) == ["home files"]
    last = json.loads(done["gw-a"].execs[-1].stdin)
    assert last["reached"] == ["ada", "grace"], "both have their new keys"


def test_a_developer_without_a_login_is_skipped_and_keeps_the_former_key(
    plans: Planned, project: Path, found: dict[str, Answers]
) -> None:
    del found["dev-2"]["user", "ada"]
    edit(project, "prod", "MIRRORFLEET_KEY_ROOT}", "MIRRORFLEET_KEY_ROOT}, rotation: 2")
    done = mirror(plans("prod").hosts, found)
    assert {name for name, traffic in done.items() if traffic.failed} == {"dev-2"}
    assert json.loads(done["gw-a"].execs[-1].stdin)["reached"] == ["grace"]
