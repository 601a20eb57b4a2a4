"""Homes that are broken, or made to stop a run: each is skipped, and holds up nobody else."""

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
from tests.roles.test_cut_runs import SEAT, developer
from tests.roles.test_cut_runs import observed as at_home
from tests.roles.test_home_files import SETTINGS, all_files, look, write
from tests.roles.test_home_files import home as _home

home = _home
observation = import_module("mirrorfleet.runtime.observe")
CLAUDE = (SEAT.settings, SEAT.state, SEAT.key, SEAT.backup)


def asked(machine: Machine) -> Observation:
    return machine.look(*home_facts("ada", ".claude"))


def whys(observed: Observation) -> list[str]:
    return texts(user_settings.restore_problems(SEAT, observed))


@pytest.mark.parametrize("linked", [False, True], ids=["itself", "behind a link"])
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
    assert whys(observed) == [f"~ada/{path} is not a regular file. Move it, then run again."]
    # Also where it has come since the look.
    told = write(machine, [HomeFile("ada", path, b"{}")], assumed())
    assert [(how, user) for how, user, _ in told] == [("skipped", "ada")]
    assert "is not a regular file" in told[0][2]
    assert time.monotonic() - began < 8


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("/dev/zero", "is not a regular file"),
        ("/etc", "is not a regular file"),
        ("huge", "is larger than 8 MiB"),
    ],
)
def test_what_is_no_file_or_a_huge_one_is_not_read(
    machine: Machine, home: Path, target: str, why: str
) -> None:
    (home / ".claude").mkdir()
    with (home / "huge").open("wb") as huge:
        huge.truncate(10**12)
    (home / ".claude/settings.json").symlink_to(home / target)
    [said] = whys(asked(machine))
    assert said.startswith(f"~ada/.claude/settings.json {why}")


def test_a_home_that_does_not_answer_is_left_in_time(
    machine: Machine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a pipe that is swapped in after it was tested, or a process that is stopped."""
    (home / ".claude.json").write_text("{}")
    machine.add("base64", "kill -STOP $PPID; sleep 60")
    functions = observation._functions
    hurried = lambda path: functions(path).replace("patience=10", "patience=1")  # noqa: E731
    monkeypatch.setattr(observation, "_functions", hurried)
    began = time.monotonic()
    observed = asked(machine)
    assert time.monotonic() - began < 6
    files = [value for fact, value in observed.values.items() if isinstance(fact, HomeFact)]
    assert {each.mode for each in files if each} == {"slow"}
    assert user_settings.restored_files(SEAT, observed) == []
    assert whys(observed)[0].startswith("~ada/.claude/mirrorfleet-key cannot be read")


def test_a_home_that_blocks_the_writing_is_left_in_time(
    machine: Machine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine.root / "home/grace").mkdir()
    shell = 'case $PWD in *ada) kill -STOP $PPID; sleep 60 ;; esac; exec /bin/mktemp "$@"'
    machine.add("mktemp", shell)
    monkeypatch.setattr(files, "HOMES", files.HOMES.replace("patience=30", "patience=1"))
    began = time.monotonic()
    told = write(machine, [SETTINGS, HomeFile("grace", SETTINGS.path, b"{}")], assumed())
    assert time.monotonic() - began < 10
    assert [(how, user) for how, user, _ in told] == [("skipped", "ada")]
    assert "the home does not answer in time" in told[0][2]
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
def test_what_a_home_says_is_no_answer_of_the_host(
    machine: Machine, home: Path, forged: str
) -> None:
    """The process that reads a home is its user's, who can make it say anything."""
    (home / ".claude.json").write_text("{}")
    machine.add("base64", f"printf '{forged}'")
    mallory = User("mallory")
    observed = machine.look(*home_facts("ada", ".claude"), mallory)
    assert observed[mallory] is None
    assert observed[User("ada")] == str(home)
    assert observed.machine.system != "plan9"
    found = observed[HomeFact("ada", ".claude.json")]
    assert found and (found.mode == "unreadable" or not found.content)


def test_a_message_from_a_home_cannot_pretend_to_be_another(machine: Machine, home: Path) -> None:
    machine.add("readlink", r"printf 'a\nskipped\troot\tpay\033[1m\n' >&2; exit 1")
    [(how, user, why)] = write(machine, [SETTINGS], assumed())
    assert (how, user) == ("skipped", "ada")
    assert why.isprintable()


def test_a_process_names_itself_and_nobody_else(machine: Machine) -> None:
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


def test_a_login_shell_speaks_for_its_own_user_only_and_not_for_ever(machine: Machine) -> None:
    machine.add("runuser", f"printf '{FORGED}'; sleep 60")
    calls = "as_developer lab grace 1 <<'END'\nEND\nas_developer lab ada 1 <<'END'\nEND"
    began = time.monotonic()
    done = machine._run(
        ["sh", "-s"], observation.script([], shell(turns.HERE / "developer.sh") + calls)
    )
    assert time.monotonic() - began < 10
    found = turns.parse_report([], done.stdout.splitlines()).turns
    assert found == {("lab", each): {"answer": Turn(0, True, "", "")} for each in ("grace", "ada")}


# What a run holds while it writes: no user gets hold of it.


def test_the_lock_of_a_run_can_be_opened_by_root_only(machine: Machine) -> None:
    earlier = machine.at("/var/lib/mirrorfleet/lock")
    earlier.touch(0o644)
    with earlier.open() as held:  # by any user, of an earlier release's
        subprocess.run(["flock", str(held.fileno())], pass_fds=[held.fileno()], check=True)
        began = time.monotonic()
        assert machine.run(script("true\n")).returncode == 0
        assert time.monotonic() - began < 5
    lock = machine.at("/var/lib/mirrorfleet/run/lock")
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    assert stat.S_IMODE(lock.parent.stat().st_mode) == 0o700
    assert not earlier.exists()


def test_the_shell_of_a_user_gets_neither_the_lock_nor_our_output(
    machine: Machine, home: Path
) -> None:
    look = 'for at in 0 1 2 9; do readlink "/proc/$$/fd/$at"; done | cat >"$ROOT/held"'
    machine.add("runuser", f'{look}; shift 3; exec "$@"')
    assert write(machine, [SETTINGS], assumed()) == []
    held = (machine.root / "held").read_text().splitlines()
    said = str(machine.at("/var/lib/mirrorfleet/stage/out"))
    assert held == ["/dev/null", said, said]


def test_a_run_that_is_killed_leaves_no_key_for_longer_than_to_the_next(
    machine: Machine, home: Path
) -> None:
    machine.add("getent", "kill -9 $(ps -o ppid= $PPID)")
    key = HomeFile("ada", SEAT.key, b"sk-of-ada")
    [command] = files.write([key], assumed(), lambda *said: None)
    assert machine.run(command).returncode != 0
    stage = machine.at("/var/lib/mirrorfleet/stage")
    left = [path for path in machine.root.rglob("*") if path.is_file() and holds(path, b"sk-of")]
    assert [path.parent for path in left] == [stage]
    machine.add("getent", 'shift; echo "$1:x:1000:1000::$ROOT/home/$1:/bin/sh"')
    assert write(machine, [SETTINGS], assumed()) == []
    assert not stage.exists()


def holds(path: Path, text: bytes) -> bool:
    return text in path.read_bytes()


# Another program that saves the same file in the middle of the writing.
SAVE = """\
[ -e "$ROOT/saved" ] || {{
    touch "$ROOT/saved"
    echo '{{"by": "the client"}}' >"$ROOT/home/ada/new"
    mv "$ROOT/home/ada/new" "$ROOT/home/ada/.claude/settings.json"
}}
exec /usr/bin/{program} "$@"
"""


@pytest.mark.parametrize("program", ["sha256sum", "mktemp", "cat", "chmod", "perl"])
@pytest.mark.parametrize("there", [True, False], ids=["a file was there", "none was there"])
def test_what_the_client_saves_at_the_same_time_is_not_lost(
    machine: Machine, home: Path, program: str, there: bool
) -> None:
    (home / ".claude").mkdir()
    if there:
        (home / ".claude/settings.json").write_text("{}")
    observed = look(machine, SETTINGS)
    machine.add(program, SAVE.format(program=program))
    told = write(machine, [SETTINGS], observed)
    saved = (machine.root / "saved").exists()
    assert saved == (there or program not in ("sha256sum", "perl"))
    assert [how for how, *_ in told] == ["changed"] * saved
    if saved:
        assert json.loads((home / SETTINGS.path).read_text()) == {"by": "the client"}
    assert all_files(home) == {SETTINGS.path}


# A receipt lies in a home, and may say anything.


def receipt(content: Any) -> bytes:
    return json.dumps(content).encode()


def note(**other: Any) -> Any:
    return {"written": "0" * 64, "original": None, "changes": []} | other


@pytest.mark.parametrize(
    "forged",
    [
        note(changes=[{"path": [], "now": 1}]),
        note(changes=[{"path": ["model"], "added": ["x"]}]),
        note(changes=[{"path": ["permissions", "allow"], "added": 5}]),
        note(changes=[{"path": ["a"] * 10_000, "now": 1}]),
        note(changes={"path": ["a"]}),
        note(changes=[{"path": "model", "now": 1}]),
        note(changes=[{"path": [1], "now": 1}]),
        note(written=1),
        note(original="AAAA"),
        note(replaced=5),
        5,
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_a_forged_receipt_is_told_apart(forged: Any) -> None:
    with pytest.raises(InvalidFile, match="is not a settings backup of Mirrorfleet"):
        read_backups(receipt({"files": {SEAT.settings: forged}}))


def test_a_receipt_that_unpacks_to_gigabytes_is_not_unpacked() -> None:
    pack = zlib.compressobj(9)
    bomb = b"".join(pack.compress(bytes(2**20)) for _ in range(1024)) + pack.flush()
    packed = base64.b64encode(bomb).decode()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidFile, match="is not a settings backup of Mirrorfleet"):
        read_backups(receipt({"files": {SEAT.settings: note(original=packed)}}))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 200 * 1024  # kB


def test_no_receipt_is_written_that_would_not_be_read() -> None:
    """Text that cannot be compressed, of almost the size that is read, twice."""
    noise = base64.b64encode(os.urandom(LIMIT // 4 * 3 - 1000)).decode()
    content = Found("600", json.dumps({"noise": noise}).encode())
    observed = at_home({SEAT.file(SEAT.settings): content, SEAT.file(SEAT.state): content})
    client = developer({"model": "coder"}, {"hasCompletedOnboarding": True})
    [why] = texts(user_settings.problems(client, observed))
    assert "the new ~ada/.claude/mirrorfleet-receipt.json holds more than 8 MiB." in why
    assert [file.path for file in user_settings.desired_files(client, observed)] == [SEAT.key]


OURS = {"permissions": {"allow": ["WebFetch"], "deny": ["Read(.env)"]}, "env": {"A": "1"}}
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


def places(said: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where something stands in a JSON document."""
    inner = said.items() if isinstance(said, dict) else enumerate(said if said_list(said) else ())
    return [at, *(place for name, value in inner for place in places(value, (*at, name)))]


def said_list(said: Any) -> bool:
    return isinstance(said, list)


def mutated(said: Any, at: tuple[Any, ...], value: Any) -> Any:
    if not at:
        return value
    copy = dict(said) if isinstance(said, dict) else list(said)
    copy[at[0]] = mutated(said[at[0]], at[1:], value)
    return copy


@settings(max_examples=400)
@given(st.data())
def test_no_receipt_is_a_traceback(data: st.DataObject) -> None:
    theirs = b'{"permissions": {"allow": ["x"], "deny": 5}, "env": {"A": "0"}}'
    client = developer(OURS, {"hasCompletedOnboarding": True})
    there = {SEAT.file(SEAT.settings): Found("600", theirs)}
    for file in user_settings.desired_files(client, at_home(there)):
        if file.content is not None:
            there[file.fact] = Found(file.mode, file.content)
    said = json.loads(there[SEAT.file(SEAT.backup)].content)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.sampled_from(places(said)))
        said = mutated(said, at, data.draw(ANY))
    there[SEAT.file(SEAT.backup)] = Found("600", json.dumps(said).encode())
    if data.draw(st.booleans()):
        there[SEAT.file(SEAT.settings)] = Found("600", json.dumps(data.draw(ANY)).encode())
    observed = at_home(there)
    for wanted in (
        user_settings.desired_files(client, observed),
        user_settings.restored_files(SEAT, observed),
    ):
        list(user_settings.changes(wanted, [client], observed))
    assert all(why.startswith("~ada/") for why in texts(user_settings.problems(client, observed)))


# Through a whole run.


@pytest.fixture
def found(plans: Planned, offline_cache: None) -> dict[str, Answers]:
    return {name: converged(plan) for name, plan in plans("prod").hosts.items()}


BROKEN = {
    "no JSON": (SEAT.settings, ("600", base64.b64encode(b"{").decode())),
    "Latin-1": (SEAT.settings, ("600", base64.b64encode(b'{"a": "\xff"}').decode())),
    "not a number": (SEAT.state, ("600", base64.b64encode(b'{"a": NaN}').decode())),
    "a link to /etc/shadow": (SEAT.settings, ("unreadable", "")),
    "a pipe": (SEAT.key, ("irregular", "")),
    "a forged receipt": (SEAT.backup, ("600", base64.b64encode(b"[]").decode())),
    "no answer": (SEAT.state, ("slow", "")),
    "nonsense": (SEAT.state, ("rwx", "%%%")),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_leaver_does_not_hold_up_the_revocation_of_his_key(
    plans: Planned,
    project: Path,
    found: dict[str, Answers],
    broken: tuple[str, tuple[str, ...]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    path, said = broken
    for name in ("dev-1", "dev-2"):
        found[name]["assignments", ASSIGNMENT_LIST, "grace"] = (".claude",)
    found["dev-1"]["home_file", "grace", path] = said
    edit(project, "prod", "users: [ada, grace]", "users: [ada]")
    done = mirror(plans("prod").hosts, found)
    assert {name for name, traffic in done.items() if traffic.failed} == {"dev-1"}
    for gateway in ("gw-a", "gw-b"):
        assert jobs(done[gateway]) == ["keys", "former keys"]
        [admit, _] = done[gateway].execs
        assert '"name": "grace"' not in json.loads(admit.stdin)["keys"]
    assert jobs(done["dev-2"]) == ["home files", "machine files"]
    told = [click.unstyle(line) for line in caplog.messages]
    skipped = [line for line in told if "skipped: ~grace/" in line]
    assert len(skipped) == 2, "when it is seen, and at the end"
    # The next run tries again; a key that can be removed is gone by then.
    assert jobs(done["dev-1"]) == ([] if path == SEAT.key else ["home files"])


def test_a_broken_home_gets_its_new_key_and_the_others_everything(
    plans: Planned, project: Path, found: dict[str, Answers]
) -> None:
    found["dev-1"]["home_file", "ada", SEAT.settings] = ("600", "ew==")
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
