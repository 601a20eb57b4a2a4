"""A real Postgres on a real host: logins, LiteLLM's own migrations, backups, the salt key."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.docs.pages import blocks
from tests.lab import keys, look, paths

HERE = Path(__file__).parent
PAGE = paths.REPOSITORY / "docs/how-to/database.md"
PASSWORD = "a p@ssword only for the lab's Postgres"
SALT = "sk-salt-of-the-lab-71c0e4b9d2f85a36"
OTHER = "another p@ssword only for the lab's Postgres"
SECRETS = {
    "other": OTHER,
    "password": PASSWORD,
    "salt": SALT,
    "master": "sk-master-of-the-lab-0123456789",
}
PSQL = "sudo env PGHOST=/run/mirrorfleet-postgres PGUSER=postgres psql -XAtqw"
BACKUPS = "/var/lib/mirrorfleet/postgres/backups"

LAST = "20261009000000_add_credential_display_name"
"""The newest migration of the release. It adds a column, and succeeds if the column exists."""

Deploy = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def deploy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deploy]:
    """Return a function that deploys database.yml with texts replaced and options of pyinfra."""
    directory = tmp_path_factory.mktemp("database")
    (directory / ".lab").symlink_to(paths.ACCESS)
    inventories = directory / "inventories"
    inventories.mkdir()
    for name, value in SECRETS.items():
        (inventories / name).write_text(value)
    shutil.copy(look.FLEET.with_suffix(".py"), inventories / "database.py")

    def run(
        *edits: tuple[str, str], options: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        text = (HERE / "database.yml").read_text("utf-8")
        for old, new in edits:
            assert text.count(old) == 1
            text = text.replace(old, new)
        (inventories / "database.yml").write_text(text, "utf-8")
        deploy = str(HERE / "database_alone.py")
        return look.pyinfra("-y", *options, str(inventories / "database.py"), deploy)

    yield run
    removed = run((_line("database:"), ""), (_line("salt_key:"), ""))
    assert removed.returncode == 0, removed.stdout + removed.stderr
    look.run("gpu", "rm -rf /var/lib/mirrorfleet/postgres")


def _line(key: str) -> str:
    text = (HERE / "database.yml").read_text("utf-8")
    return next(f"{line}\n" for line in text.splitlines() if line.strip().startswith(key))


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert PASSWORD not in output and SALT not in output
    return output


def sql(statement: str, database: str = "litellm") -> str:
    return look.run("gpu", f"{PSQL} -d {database} -c '{statement}'").strip()


def login(host: str, password: str = PASSWORD, role_of: str = "") -> str:
    """Return psql's output on a host that logs in as a gateway does."""
    look.run(
        host,
        "command -v psql || { apt-get -qq update && apt-get -qq install -y postgresql-client; }",
    )
    return look.run(
        host,
        "read -r url; psql -XAtqw \"$url\" -c 'SELECT 1' 2>&1; true",
        stdin=url(password, role_of or password),
    )


@contextmanager
def session(host: str, password: str) -> Iterator[subprocess.Popen[str]]:
    """Run psql as an open session of a gateway, after its first query."""
    psql = 'read -r url; exec stdbuf -oL psql -XAtqw "$url" 2>&1'
    line = keys.ssh(host, ["sudo", "sh", "-c", shlex.quote(psql)])
    pipe = subprocess.PIPE
    with subprocess.Popen(line, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdin and process.stdout
            process.stdin.write(f"{url(password, password)}\nSELECT 'begun';\n")
            process.stdin.flush()
            assert process.stdout.readline() == "begun\n"
            yield process
        finally:
            process.kill()


def url(password: str, role_of: str) -> str:
    """Return the URL that a gateway uses: each password has its own role."""
    digest = sha256(f"mirrorfleet database role {role_of}".encode()).hexdigest()
    return f"postgresql://litellm_{digest[:8]}:{quote(password, safe='')}@10.77.0.11/litellm"


def test_the_database_of_a_fleet(deploy: Deploy) -> None:
    output = succeeded(deploy(options=("--diff",)))
    assert "database: 213 migrations of litellm-proxy-extras 0.4.108 were run" in output
    tables = (
        "SELECT count(*) FROM pg_tables WHERE schemaname = $$public$$ AND tableowner = $$litellm$$"
    )
    assert sql(tables) == "98"  # including one of Prisma
    assert sql("SELECT count(*) FROM _prisma_migrations WHERE finished_at IS NOT NULL") == "213"
    assert sql("SHOW max_connections") == "30"
    assert look.changes(deploy(options=("--json",))) == []


def test_only_gateways_can_log_in(deploy: Deploy) -> None:
    succeeded(deploy())
    assert login("gw-1").strip() == "1"
    assert "password authentication failed" in login("gw-1", OTHER, role_of=PASSWORD)
    assert "no pg_hba.conf entry" in login("gw-1", OTHER)
    assert "no pg_hba.conf entry" in login("dev")
    listening = look.run("gpu", "ss -Hltn 'sport = :5432'").split()
    assert listening.count("10.77.0.11:5432") == 1 and len(listening) == 5
    assert look.run("gpu", "pg_lsclusters -h") == ""
    # The host has a verifier of the password; the password is in no file and no argument.
    files = look.run("gpu", f"grep -rlaF {PASSWORD!r} /opt /etc /var/lib/mirrorfleet /run || true")
    assert files == ""
    assert not any(PASSWORD in process for process in look.processes())
    denied = look.run(
        "gpu", "runuser -u daemon -- psql -h /run/mirrorfleet-postgres postgres 2>&1; true"
    )
    assert "failed" in denied


def test_a_former_password_works_until_the_gateways_have_the_new_one(deploy: Deploy) -> None:
    succeeded(deploy())
    other = ("install: gpu, password: {file: password}", "install: gpu, password: {file: other}")
    succeeded(deploy(other, options=("--limit", "gpu")))
    assert [login("gw-1", password).strip() for password in (PASSWORD, OTHER)] == ["1", "1"]
    with session("gw-1", PASSWORD) as former, session("gw-1", OTHER) as current:
        succeeded(deploy(other))
        assert "terminating connection" in former.communicate("SELECT 1;\n")[0]
        assert current.communicate("SELECT 1;\n")[0].strip() == "1"
    assert "no pg_hba.conf entry" in login("gw-1", PASSWORD)
    assert login("gw-1", OTHER).strip() == "1"
    assert look.changes(deploy(other, options=("--json",))) == []
    # The owner role owns every table, whichever role creates it.
    create = 'psql -XAtqw "$url" -c "CREATE TABLE mine ()" -c "SELECT current_user"'
    assert look.run("gw-1", f"read -r url; {create}", stdin=url(OTHER, OTHER)).strip() == "litellm"
    assert sql("SELECT tableowner FROM pg_tables WHERE tablename = $$mine$$") == "litellm"
    sql("DROP TABLE mine")
    succeeded(deploy())


def test_a_newer_release_is_migrated_after_a_backup(deploy: Deploy) -> None:
    succeeded(deploy())
    sql(
        'INSERT INTO "LiteLLM_BudgetTable" (budget_id, created_by, updated_by) '
        "VALUES ($$kept$$, $$a$$, $$a$$)"
    )
    backups = look.run("gpu", f"ls {BACKUPS}").split()
    _older()
    output = succeeded(deploy())
    assert (
        "migrate its tables from litellm-proxy-extras 0.4.1 to litellm-proxy-extras 0.4.108"
        in output
    )
    assert "a backup was made" in output
    assert "1 migrations of" in output
    made = set(look.run("gpu", f"ls {BACKUPS}").split()) - set(backups)
    [name] = made
    assert look.run("gpu", f"stat -c '%a %U' {BACKUPS}/{name}").split() == [
        "600",
        "mirrorfleet-postgres",
    ]

    # Restore into a new database, as in docs/how-to/database.md.
    sql("CREATE DATABASE fresh OWNER litellm", "postgres")
    try:
        restore = PSQL.replace("psql -XAtqw", "pg_restore --exit-on-error")
        look.run("gpu", f"{restore} -d fresh {BACKUPS}/{name}")
        assert sql('SELECT budget_id FROM "LiteLLM_BudgetTable"', "fresh") == "kept"
        assert sql("SELECT count(*) FROM _prisma_migrations", "fresh") == "212"
    finally:
        sql("DROP DATABASE fresh", "postgres")


def _older() -> None:
    """Turn the database into one of an older release, without the last migration."""
    sql('ALTER TABLE "LiteLLM_CredentialsTable" DROP COLUMN display_name')
    sql(f"DELETE FROM _prisma_migrations WHERE migration_name = $${LAST}$$")
    stamp = sql("SELECT obj_description(to_regclass($$_prisma_migrations$$))")
    older = stamp.replace("0.4.108", "0.4.1")
    sql(f"COMMENT ON TABLE _prisma_migrations IS $${older}$$")


def test_a_failed_migration_is_named_and_the_next_run_continues(deploy: Deploy) -> None:
    succeeded(deploy())
    _older()
    sql('ALTER TABLE "LiteLLM_CredentialsTable" RENAME TO away')
    done = deploy()
    assert done.returncode != 0
    assert f"the migration {LAST} failed" in done.stdout + done.stderr
    sql('ALTER TABLE away RENAME TO "LiteLLM_CredentialsTable"')
    assert "1 migrations of" in succeeded(deploy())


def test_another_salt_key_is_refused_without_an_option(deploy: Deploy) -> None:
    succeeded(deploy())
    other = ("salt_key: {file: salt}", "salt_key: {command: echo sk-another-salt-71c0e4b9d2f85a36}")
    done = deploy(other)
    assert done.returncode != 0
    assert "the database has another salt key than" in done.stdout + done.stderr
    succeeded(deploy(other, options=("--data", "salt_key=changed")))
    succeeded(deploy(options=("--data", "salt_key=changed")))


def test_the_same_database_by_its_url(deploy: Deploy) -> None:
    succeeded(deploy())
    line = f"  database: {{url: {{command: echo '{url(PASSWORD, PASSWORD)}'}}}}\n"
    by_url = (_line("database:"), line)
    output = succeeded(deploy(by_url, options=("--data", "database=moved")))
    assert "0 migrations of" in output
    # Postgres was removed from the fleet file: its files stay, its server is stopped.
    assert not look.on("gpu").service("mirrorfleet-postgres").is_running
    done = deploy(by_url)
    assert done.returncode != 0
    assert "does not answer" in done.stdout + done.stderr
    succeeded(deploy())
    assert sql('SELECT budget_id FROM "LiteLLM_BudgetTable"') == "kept"


def test_the_commands_of_the_page(deploy: Deploy) -> None:
    """Run the commands of docs/how-to/database.md on a host with another Postgres on port 5432."""
    succeeded(deploy())
    # Our reservation of the port would refuse the other server.
    release = "python3 /opt/mirrorfleet/ports/reserve_ports.py release"
    look.run("gpu", f"systemctl stop mirrorfleet-postgres; {release}; {ANOTHER_SERVER}")
    try:
        assert "port 5432 is in use by postgresql@15-main.service" in refused(deploy())
        succeeded(deploy(PORT))
        psql = block("psql litellm")
        look.run("gpu", psql, stdin=f"{INSERT};\n")
        assert "mirrorfleet-postgres-backup.timer" in look.run("gpu", block("list-timers"))
        [backup] = look.run("gpu", f"ls -t {BACKUPS} | head -n 1").split()
        look.run("gpu", psql, stdin=f"{DELETE};\n")

        restore = block("litellm-….dump").replace("litellm-….dump", backup)
        look.run("gpu", restore)
        assert "kept" in look.run("gpu", psql, stdin=SELECT)
        assert look.changes(deploy(PORT, options=("--json",))) == []

        # Without its files: restore a backup into an empty database.
        data = BACKUPS.replace("backups", "data")
        look.run("gpu", f"systemctl stop mirrorfleet-postgres; mv {data} {data}.away")
        look.run("gpu", "! systemctl restart mirrorfleet-postgres")
        look.run("gpu", block("touch"))
        assert "kept" not in look.run("gpu", psql, stdin=TABLES)
        assert "213 migrations of" in succeeded(deploy(PORT))
        look.run("gpu", restore)
        assert "kept" in look.run("gpu", psql, stdin=SELECT)
        assert look.changes(deploy(PORT, options=("--json",))) == []

        # Move the database with its keys to another host.
        moved = ("database: {install: gpu,", "database: {install: gw-1,")
        assert "the fleet file sets another database" in refused(deploy(moved))
        look.run("gpu", block("pg_dump"))
        succeeded(deploy(moved, options=("--data", "database=moved")))
        dump = look.run("gpu", "base64 /root/litellm.dump")
        look.run("gw-1", "base64 -d >/root/litellm.dump", stdin=dump)
        look.run("gw-1", block("-d litellm /root/litellm.dump"))
        assert "kept" in look.run("gw-1", psql, stdin=SELECT)
        assert look.changes(deploy(moved, options=("--json",))) == []
        succeeded(deploy(PORT, options=("--data", "database=moved")))
    finally:
        look.run("gpu", "pg_dropcluster --stop 15 main; rm -f /root/litellm.dump")
        look.run("gw-1", "rm -rf /var/lib/mirrorfleet/postgres /root/litellm.dump")
    succeeded(deploy())


ANOTHER_SERVER = "pg_createcluster 15 main --start"
PORT = ("database: {install: gpu,", "database: {install: gpu, port: 5433,")
SELECT = 'SELECT budget_id FROM "LiteLLM_BudgetTable";\n'
INSERT = """INSERT INTO "LiteLLM_BudgetTable" (budget_id, created_by, updated_by)
VALUES ('kept', 'a', 'a') ON CONFLICT DO NOTHING"""
DELETE = """DELETE FROM "LiteLLM_BudgetTable" WHERE budget_id = 'kept'"""
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public';\n"


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode != 0
    return done.stdout + done.stderr


def block(text: str) -> str:
    """Return the block of commands in docs/how-to/database.md that contains a text."""
    [found] = [block.text for block in blocks(PAGE, "sh") if text in block.text]
    return found
