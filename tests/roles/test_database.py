"""Tests of the gateways' database: preflight, migrations, passwords, removal and lost data."""

from __future__ import annotations

import base64
import logging
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from pyinfra.api.exceptions import DeployError

from mirrorfleet import lock_folders
from mirrorfleet.config.reader import Secret
from mirrorfleet.planning import HostPlan, MigrationsPlan
from mirrorfleet.roles.litellm.paths import PLACE
from mirrorfleet.roles.migrations import render, wheel
from mirrorfleet.roles.postgres.render import FORMER, HERE, MADE, verifier
from mirrorfleet.runtime import tables
from tests.roles.answers import Answers, bare, converged, migrated
from tests.roles.conftest import Planned
from tests.roles.fake import mirror
from tests.roles.fleets import edit
from tests.roles.jobs import jobs
from tests.roles.test_problems import problems_of_run

URL = Secret("env", "DATABASE_URL", Path("/"))
Bare = tuple[dict[str, HostPlan], dict[str, Answers]]
LOCK = lock_folders.SHIPPED / "litellm/locks/1.106.12.txt"
PLAN = MigrationsPlan("1.106.12", LOCK, URL, 5432, Secret("env", "SALT", Path("/")), 30)


def test_the_scram_verifier_matches_the_example_of_rfc_7677() -> None:
    # Postgres computes these two keys from the password and salt of the RFC.
    salt = "W22ZaJ0SNY7soEsUEjb6gQ=="
    stored = "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
    server = "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    found = verifier("pencil", base64.b64decode(salt))
    assert found == f"SCRAM-SHA-256$4096:{salt}${stored}:{server}"


def test_psql_gets_its_settings_from_the_url() -> None:
    environment = render.settings(
        PLAN, "postgresql://u%40x:p%2F%24@db.example.com/llm?sslmode=require"
    )
    assert environment.splitlines() == [
        'PGCONNECT_TIMEOUT="10"',
        'PGDATABASE="llm"',
        'PGHOST="db.example.com"',
        r'PGPASSWORD="p/\$"',
        'PGPORT="5432"',
        'PGSSLMODE="require"',
        'PGUSER="u@x"',
    ]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            "mysql://u:p@db/llm",
            "it does not have the form postgresql://USER:PASSWORD@HOST/DATABASE.",
        ),
        ("postgresql://u:p@db", "the database is missing."),
        ("postgresql://u:p@db:x/llm", "it is not a URL."),
        ("postgresql://u:p@db/llm?schema=mine", "remove the unknown option 'schema'."),
        (
            "postgresql://u:p@db/llm?connection_limit=5",
            "set gateway.database.connection_pool_limit instead of connection_limit.",
        ),
    ],
)
def test_a_url_that_programs_would_read_differently_is_refused(url: str, reason: str) -> None:
    with pytest.raises(DeployError) as caught:
        render.settings(PLAN, url)
    assert str(caught.value) == f"the URL {URL} cannot be used: {reason}"


@pytest.mark.usefixtures("offline_cache")
def test_a_database_with_another_salt_key_is_refused(plans: Planned) -> None:
    hosts = plans("database").hosts
    assert hosts["state"].migrations
    found = migrated(hosts["state"].migrations, salt_key="the former salt key")
    [line] = problems_of_run(dict(hosts), {"state": found})
    assert line == (
        "state: the database has another salt key than {env: LITELLM_SALT_KEY}: its "
        "content could not be decrypted. Set the former key again. If the content is not needed, "
        "run once with --data salt_key=changed."
    )


@pytest.mark.usefixtures("offline_cache")
def test_an_external_postgres_must_allow_the_connections_of_all_pools(
    plans: Planned, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@db.example.com/llm")
    installed = "{install: state, password: {env: DATABASE_PASSWORD}}"
    edit(project, "database", installed, "{url: {env: DATABASE_URL}}")
    hosts = plans("database").hosts
    found: Answers = {("database", render.SETTINGS): ("20 ",)}
    assert problems_of_run(dict(hosts), {"gw": found}) == [
        "gw: the database allows 20 connections, but the gateways need 30. Set a lower "
        "connection_pool_limit."
    ]


@pytest.mark.usefixtures("offline_cache")
def test_moving_a_database_without_its_keys_is_refused(plans: Planned, project: Path) -> None:
    edit(project, "database", "database: {install: state", "database: {install: gw")
    former: Answers = {("services", "postgres*", "postgres"): ()}
    assert problems_of_run(dict(plans("database").hosts), {"state": former}) == [
        "state: this host has the database with LiteLLM's keys, but the fleet file sets another "
        "database, which does not have them. Move the keys (`mirrorfleet docs database`, Move the "
        "database). Then, or if it is the same database, run once with --data database=moved."
    ]


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("postgres://other:another@DB.example.com:5432/llm?sslmode=require", True),
        ("postgresql://u:p@db-2.example.com/llm", False),
        ("postgresql://u:p@db.example.com:5433/llm", False),
        ("postgresql://u:p@db.example.com/other", False),
        ("postgresql://u:p@[db.example.com/llm", False),
    ],
)
def test_urls_of_one_database_are_the_same_place(url: str, same: bool) -> None:
    assert (tables.place(url) == tables.place("postgresql://u:p@db.example.com/llm")) == same


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize(
    "to", ["{url: {env: MOVED_URL}}", "{install: state, password: {env: DATABASE_PASSWORD}}"]
)
def test_a_url_of_another_database_is_refused(
    plans: Planned, project: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@db.example.com/llm")
    monkeypatch.setenv("MOVED_URL", "postgresql://u:p@db-2.example.com/llm")
    edit(project, "database", "{install: state, password: {env: DATABASE_PASSWORD}}", BY_URL)
    before = converged(plans("database").hosts["gw"])
    edit(project, "database", BY_URL, to)
    link = ("link", "/opt/mirrorfleet/litellm/current")
    for prefix in ("", "./"):  # "./": a changed generation is replaced, its restart is due
        found = before | {link: (prefix + before[link][0],)}
        assert problems_of_run(dict(plans("database").hosts), {"gw": found}) == [ELSEWHERE]


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize(
    "to", ["{url: {env: DATABASE_URL}}", "{install: gw, password: {env: DATABASE_PASSWORD}}"]
)
def test_leaving_an_installed_database_is_refused_in_a_run_limited_to_gateways(
    plans: Planned, project: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@db.example.com/llm")
    found = {name: converged(plan) for name, plan in plans("database").hosts.items()}
    edit(project, "database", "{install: state, password: {env: DATABASE_PASSWORD}}", to)
    with pytest.raises(DeployError) as caught:
        mirror(plans("database").hosts, found, limit=["gw"])
    assert ELSEWHERE in str(caught.value)


@pytest.mark.usefixtures("offline_cache")
def test_a_gateway_without_a_record_of_its_database_is_not_refused(plans: Planned) -> None:
    hosts = plans("database").hosts
    found = {name: converged(plan) for name, plan in hosts.items()}
    records = [words for words in found["gw"] if words[-1].endswith(f"/{PLACE}")]
    for words in records:
        del found["gw"][words]
    done = mirror(hosts, found, limit=["gw"])
    assert records and jobs(done["gw"]) == ["generation", "restart"]


@pytest.mark.usefixtures("offline_cache")
def test_a_database_removed_from_the_fleet_file_stops_and_keeps_its_data(
    plans: Planned, project: Path
) -> None:
    before = plans("database").hosts
    found = {name: converged(plan) for name, plan in before.items()}
    found["state"] |= {
        ("services", "postgres*", "postgres"): (),
        ("services", "postgres*", "postgres-backup"): (),
    }
    found["state"] |= {("path", render.DIRECTORY): ()}
    for line in (
        "  database: {install: state, password: {env: DATABASE_PASSWORD}}\n",
        "  salt_key: {env: LITELLM_SALT_KEY}\n",
    ):
        edit(project, "database", line, "")
    done = mirror(plans("database").hosts, found)
    assert jobs(done["state"])[-2:] == ["removal", "firewall rules"]
    removal = done["state"].execs[-2].command
    assert "\nset -- postgres postgres-backup\n" in removal
    state = 'rm -rf "${state:?}/$name'
    assert removal.count(state) == removal.count(f'{state}/cache"') == 1


@pytest.fixture(name="bare_hosts")
def _bare(plans: Planned, offline_cache: None, monkeypatch: pytest.MonkeyPatch) -> Bare:
    """Return the hosts of a fleet with a database before its first run, and one migration."""
    monkeypatch.setattr(wheel, "migrations", lambda _: {"migrations/1_first/migration.sql": b""})
    hosts = plans("database").hosts
    return dict(hosts), {name: bare(plan) for name, plan in hosts.items()}


def test_tables_are_created_before_a_gateway_changes(bare_hosts: Bare) -> None:
    done = mirror(*bare_hosts)
    [migrate] = [call for call in done["state"].execs if MIGRATION in call.command]
    [switch] = [call for call in done["gw"].execs if "begun=$(invocation)" in call.command]
    assert migrate.number < switch.number
    commands = "\n".join(call.command for traffic in done.values() for call in traffic.execs)
    assert "-key-of-the-tests" not in commands


def test_no_gateway_changes_after_a_failed_migration(bare_hosts: Bare) -> None:
    done = mirror(*bare_hosts, fail={"state": [MIGRATION]})
    assert jobs(done["gw"])[-1] == "skipped"
    assert not any("begun=$(invocation)" in call.command for call in done["gw"].execs)


def test_a_key_is_revoked_before_the_migrations(
    plans: Planned, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a URL, the first gateway creates the tables. If that fails, its run ends."""
    monkeypatch.setattr(wheel, "fetch", lambda _: Path("/"))
    monkeypatch.setattr(wheel, "migrations", lambda _: {"migrations/1_first/migration.sql": b""})
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@db.example.com/llm")
    edit(project, "database", "{install: state, password: {env: DATABASE_PASSWORD}}", BY_URL)
    hosts = plans("database").hosts
    found = {name: bare(plan) for name, plan in hosts.items()}
    done = mirror(hosts, found, fail={"gw": [MIGRATION]})
    commands = [call.command for call in done["gw"].execs]
    [keys] = [at for at, command in enumerate(commands) if " admit /opt/mirrorfleet" in command]
    [migration] = [at for at, command in enumerate(commands) if MIGRATION in command]
    assert keys < migration == len(commands) - 1


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("DATABASE_PASSWORD", "state: the password of Postgres,"),
        ("LITELLM_SALT_KEY", "state: the salt key"),
    ],
)
def test_a_short_secret_is_refused(
    plans: Planned, monkeypatch: pytest.MonkeyPatch, name: str, what: str
) -> None:
    monkeypatch.setenv(name, "sk-1234")
    comma = "," if what.endswith(",") else ""
    assert problems_of_run(dict(plans("database").hosts), {}) == [
        f"{what} {{env: {name}}}{comma} is too weak: it is 7 characters long; "
        "the minimum is 32. Create a random one, for example with: openssl rand -hex 32."
    ]


@pytest.fixture(name="rotated")
def _rotated(
    plans: Planned, project: Path, offline_cache: None, monkeypatch: pytest.MonkeyPatch
) -> Bare:
    """Return the hosts of a fleet with a new database password, and answers with the former one."""
    found = {name: converged(plan) for name, plan in plans("database").hosts.items()}
    monkeypatch.setenv("ANOTHER", "5f3a9c1e7b2d4068c3d4e5f607189a2b")
    edit(project, "database", "password: {env: DATABASE_PASSWORD}", "password: {env: ANOTHER}")
    return dict(plans("database").hosts), found


def test_a_former_password_works_until_all_gateways_have_the_new_one(rotated: Bare) -> None:
    done = mirror(*rotated)
    [restart] = [call for call in done["state"].execs if SWITCH in call.command]
    [switch] = [call for call in done["gw"].execs if SWITCH in call.command]
    [end] = [call for call in done["state"].execs if END in call.command]
    assert restart.number < switch.number < end.number


def test_a_former_password_stays_while_a_gateway_may_need_it(rotated: Bare) -> None:
    done = mirror(*rotated, fail={"gw": [SWITCH]})
    assert jobs(done["state"])[-1] == "skipped"
    done = mirror(*rotated, limit=["state"])
    assert not any(END in call.command for call in done["state"].execs)
    # The next run observes that the former password still works.
    hosts, _ = rotated
    found = {name: converged(plan) for name, plan in hosts.items()}
    assert not any(call.execs for call in mirror(hosts, found).values())
    found["state"] |= {("path", FORMER): ()}
    [end] = mirror(hosts, found)["state"].execs
    assert END in end.command


@pytest.mark.parametrize(
    ("limit", "outcome"),
    [(None, "will be revoked"), (["state"], "work until @fake/gw take part in a run")],
)
def test_a_run_announces_what_happens_to_a_former_password(
    rotated: Bare, caplog: pytest.LogCaptureFixture, limit: list[str] | None, outcome: str
) -> None:
    hosts, before = rotated
    later = {name: converged(plan) for name, plan in hosts.items()}
    later["state"] |= {("path", FORMER): ()}
    for found in (before, later):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            mirror(hosts, found, limit=limit)
        output = "\n".join(map(click.unstyle, caplog.messages))
        assert f"postgres: former passwords of the gateways {outcome}\n" in output


def test_a_reinstalled_postgres_with_a_new_password_revokes_the_former_one(
    bare_hosts: Bare,
) -> None:
    hosts, found = bare_hosts
    assert not any(END in call.command for call in mirror(hosts, found)["state"].execs)
    found["state"] |= {("path", MADE): ()}
    assert END in mirror(hosts, found)["state"].execs[-1].command


@pytest.fixture(name="server")
def _server(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs server.sh with stand-ins for initdb and postgres 15."""
    programs = tmp_path / "postgresql/15/bin"
    programs.mkdir(parents=True)
    (programs / "initdb").write_text('#!/bin/sh\nmkdir "$2" && echo 15 >"$2/PG_VERSION"\n')
    (programs / "postgres").write_text("#!/bin/sh\necho serves\n")
    for program in programs.iterdir():
        program.chmod(0o755)
    text = (HERE / "files/server.sh").read_text().replace("/usr/lib/", f"{tmp_path}/")
    (tmp_path / "state").mkdir()

    def run(job: str, generation: str = "1") -> subprocess.CompletedProcess[str]:
        command = ["sh", "-c", text, "server.sh", job, "/nowhere"]
        state = {
            "STATE_DIRECTORY": str(tmp_path / "state"),
            "MIRRORFLEET_GENERATION": generation,
        }
        return subprocess.run(
            command, env=os.environ | state, capture_output=True, text=True, timeout=120
        )

    return run


def test_a_database_without_its_files_starts_empty_only_on_request(
    server: Server, tmp_path: Path
) -> None:
    data = tmp_path / "state/data"
    assert server("prepare").returncode == 0
    assert server("run").stdout == "serves\n"
    data.rename(tmp_path / "away")
    for _ in range(2):
        assert server("prepare").returncode == 0
        done = server("run")
        assert (done.returncode, data.exists()) == (78, False)
        assert f"touch {tmp_path}/state/begin-empty" in done.stderr
    (tmp_path / "state/begin-empty").touch()
    assert server("prepare").returncode == 0
    assert server("run").stdout == "serves\n"
    assert not (tmp_path / "state/begin-empty").exists()


def test_a_new_generation_marks_that_another_one_ran_before(server: Server, tmp_path: Path) -> None:
    former = tmp_path / "state" / Path(FORMER).name
    for generation, has_former in (("1", False), ("1", False), ("2", True)):
        assert server("prepare", generation).returncode == 0
        assert former.exists() == has_former


@pytest.mark.parametrize("name", ["backups/litellm-20261001T031500Z.dump", "data/base"])
def test_files_that_may_be_a_database_are_never_removed(
    server: Server, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "state" / name
    file.parent.mkdir()
    file.touch()
    server("prepare")
    assert file.exists()
    assert server("run").returncode == 78


BY_URL = "{url: {env: DATABASE_URL}}"
ELSEWHERE = (
    "gw: the gateway's keys are in a database at another host, port or name than the fleet file "
    "names, which may have none of them. Move them (`mirrorfleet docs database`, Move the "
    "database); then, or if it is the same database, run once with --data database=moved."
)
Server = Callable[..., subprocess.CompletedProcess[str]]

MIGRATION = "the migration $name failed"
SWITCH = "begun=$(invocation)"
END = "-f retire.sql"
