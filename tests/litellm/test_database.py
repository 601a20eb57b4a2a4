"""LiteLLM's virtual keys beside derived ones: the real LiteLLM with a stand-in for its database."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from mirrorfleet.roles.litellm import render
from mirrorfleet.roles.litellm.environment import hooks
from tests.docs.pages import blocks
from tests.litellm.conftest import GOOD
from tests.litellm.environment import ROOT, environment
from tests.litellm.gateway import Gateway, check, message, planned, serving
from tests.litellm.upstream import Upstream

KEYS = {
    "sk-anything": {},
    "sk-haiku-alone": {"models": ["haiku"]},
    "sk-expired": {"expires": "2026-01-01T00:00:00+00:00"},
    "sk-blocked": {"blocked": True},
    "sk-spent": {"max_budget": 1.0, "spend": 2.0},
    "sk-of-a-team": {"team_id": "spent"},
    "sk-of-a-person": {"user_id": "kim", "user_role": "internal_user"},
}


@pytest.fixture(scope="module", name="gateway")
def running(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    directory = tmp_path_factory.mktemp("database")
    shutil.copy(Path(__file__).with_name("virtual_keys.py"), directory)
    shutil.copy(render.HERE / "files" / render.PROGRAM, directory)
    (directory / "prisma").touch(0o755)
    planned_database = planned(GOOD / "database.yml").database
    assert planned_database
    database = replace(
        planned_database, url=None, host="127.0.0.1", port=1, password=planned_database.url
    )
    plan = planned(GOOD / "research-anthropic.yml")
    plan = replace(plan, database=database)
    variables = {
        "LITELLM_WORKER_STARTUP_HOOKS": f"{hooks(plan, 2)},virtual_keys:install",
        "PATH": f"{directory}:{os.environ['PATH']}",
    }
    plan = replace(plan, environment=variables)
    with (
        # A worker that ends before its reply is replaced after uvicorn's patience.
        serving(plan, upstream, directory, workers=2, patience=20) as gateway,
        ThreadPoolExecutor() as beside,
    ):
        end = time.monotonic() + 240
        # Both workers have started without their database, so virtual keys are unknown.
        while (directory / "log").read_text().count("the database is unreachable") < 2:
            assert time.monotonic() < end
            time.sleep(0.5)
        assert gateway.message("sonnet").code == 200
        assert gateway.ask("/v1/messages", message("haiku"), key="sk-anything").code == 503
        rows = {sha256(key.encode()).hexdigest(): row for key, row in KEYS.items()}
        (directory / "new.json").write_text(json.dumps(rows))
        (directory / "new.json").rename(directory / "database.json")
        # Its workers restart, and then know them. Developers are served meanwhile.
        # Concurrently: sequential requests would all reach the same worker.
        while {*beside.map(lambda _: code(gateway, "sk-anything"), range(20))} != {200} or len(
            workers_beside(directory)
        ) < 4:
            assert time.monotonic() < end
            assert code(gateway, gateway.key) in (200, None)
        # Each replacement found the other worker running: they restarted one after the other.
        assert workers_beside(directory)[2:] == [1, 1]
        yield gateway


def workers_beside(directory: Path) -> list[int]:
    """Return for each worker, in the order of their starts, how many others ran at its start."""
    return [int(line) for line in (directory / "workers").read_text().splitlines()]


def code(gateway: Gateway, key: str, model: str = "haiku") -> int | None:
    """Return the status for a key; None from a worker that is ending or starting."""
    try:
        return gateway.ask("/v1/messages", message(model), key=key).code
    except OSError:  # clients retry
        return None


def test_virtual_keys_have_the_rights_of_litellm(gateway: Gateway) -> None:
    assert gateway.message("sonnet").code == 200
    assert code(gateway, "sk-anything", "sonnet") == 200
    assert code(gateway, "sk-haiku-alone") == 200
    assert code(gateway, "sk-haiku-alone", "sonnet") in (401, 403)
    assert code(gateway, "sk-expired") == 401
    assert code(gateway, "sk-blocked") == 401
    for unknown in ("sk-unknown", "sk-mf-unknown", "unknown"):
        assert code(gateway, unknown) == 401


def test_the_documented_command_generates_a_key(gateway: Gateway) -> None:
    page = ROOT / "docs/how-to/database.md"
    [command] = [block.text for block in blocks(page, "sh") if "/key/generate" in block.text]
    for written, actual in (("http://10.0.2.11:4000", gateway.url), ('"coder"', '"haiku"')):
        assert written in command
        command = command.replace(written, actual)
    done = subprocess.run(
        ["sh", "-c", command],
        env={"PATH": os.environ["PATH"], "LITELLM_MASTER_KEY": gateway.master},
        capture_output=True,
        check=True,
        timeout=600,
    )
    made = json.loads(done.stdout)
    assert (made["key_alias"], made["max_budget"]) == ("nightly-ci", 50)
    assert made["key"].startswith("sk-")
    assert (code(gateway, made["key"]), code(gateway, made["key"], "sonnet")) == (200, 403)


@pytest.mark.parametrize("key", ["sk-spent", "sk-of-a-team"])
def test_a_spent_budget_refuses_turns(gateway: Gateway, key: str) -> None:
    answer = gateway.ask("/v1/messages", message("haiku"), key=key)
    assert (answer.code, answer.body["error"]["type"]) == (422, "budget_exceeded")


@pytest.mark.parametrize("key", ["sk-anything", "sk-of-a-person"])
def test_the_administration_is_for_administrators(gateway: Gateway, key: str) -> None:
    for path in ("/config/update", "/credentials", "/user/delete"):
        answer = gateway.ask(path, {"user_ids": ["lin"]}, key=key)
        assert answer.code in (401, 403), (path, answer)


def test_a_generation_is_refused_if_its_database_does_not_answer(
    upstream: Upstream, tmp_path: Path
) -> None:
    plan = planned(GOOD / "database.yml")
    assert "it has no database client" in check(plan, upstream, tmp_path)
    (tmp_path / "prisma.py").write_text(CLIENT)
    assert "its database does not answer queries (ClientError)" in check(plan, upstream, tmp_path)


def test_a_generation_is_refused_before_its_tables_are_migrated(
    upstream: Upstream, tmp_path: Path
) -> None:
    plan = planned(GOOD / "database.yml")
    (tmp_path / "prisma.py").write_text(
        CLIENT_WITH_TABLES.format("os.environ['MIRRORFLEET_TABLES']")
    )
    assert "its database" not in check(plan, upstream, tmp_path)
    older = "'mirrorfleet: litellm-proxy-extras 0.4.1, salt key 0123456789ab'"
    for comment in ("None", older, "os.environ['MIRRORFLEET_TABLES'][:-1]"):
        (tmp_path / "prisma.py").write_text(CLIENT_WITH_TABLES.format(comment))
        assert "run for all hosts, which migrates the tables first" in check(
            plan, upstream, tmp_path
        )


def test_an_unreachable_database_affects_virtual_keys_only(gateway: Gateway) -> None:
    """Load balancers check readiness, which must not depend on the database."""
    away = gateway.directory / "away"
    away.touch()
    try:
        ready = gateway.ask("/health/readiness")
        assert (ready.code, ready.body["db"]) == (200, "disconnected")
        assert gateway.message("sonnet").code == 200
        assert code(gateway, "sk-unheard-of") == 503
    finally:
        away.unlink()


def test_no_command_gets_the_url_of_the_database(tmp_path: Path) -> None:
    """LiteLLM's own start passes the URL as an argument to a command of Prisma."""
    (tmp_path / "bin").mkdir()
    prisma = tmp_path / "bin/prisma"
    prisma.write_text('#!/bin/sh\necho "$*" >>"$(dirname "$0")/asked"\n')
    prisma.chmod(0o755)
    (tmp_path / "config.yaml").write_text("model_list: []\n")
    variables = {
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "DATABASE_URL": "postgresql://litellm:a-password@127.0.0.1:1/litellm",
        "DISABLE_SCHEMA_UPDATE": "true",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    program = render.HERE / "files" / render.PROGRAM
    for command in ([str(environment() / "bin/litellm")], [PYTHON, str(program)]):
        arguments = [*command, "--config=config.yaml", "--skip_server_startup"]
        subprocess.run(
            arguments, cwd=tmp_path, env=variables, check=True, capture_output=True, timeout=600
        )
        recorded = tmp_path / "bin/asked"
        if command[0] == PYTHON:
            assert not recorded.exists()
        else:
            assert "a-password" in recorded.read_text(), "LiteLLM's own start no longer does"
            recorded.unlink()


PYTHON = str(environment() / "bin/python")

CLIENT_WITH_TABLES = """
import os


class Prisma:
    async def connect(self) -> None: ...
    async def disconnect(self) -> None: ...

    async def query_raw(self, query: str) -> list[dict[str, object]]:
        assert "_prisma_migrations" in query
        return [{{"comment": {}}}]
"""

CLIENT = """
class ClientError(Exception):
    pass


class Prisma:
    async def connect(self) -> None:
        raise ClientError("postgresql://user:password@host/database")
"""
