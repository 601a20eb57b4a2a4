"""A stand-in for LiteLLM's database client, which is not available here: it has the keys of a file.

A startup hook loads it into the workers of the real LiteLLM. Like the real client, it cannot
connect without a database: that is the file database.json beside LiteLLM's configuration. Its only
other content is a team whose budget is spent.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, MagicMock

FILE = Path("database.json")


async def install() -> None:
    """Replace the client, record the other workers, and shorten the waits for the database."""
    for name in ("errors", "types", "engine", "engine.errors"):
        sys.modules[f"prisma.{name}"] = _Client(f"prisma.{name}")
    sys.modules["prisma"] = client = _Client("prisma")
    vars(client)["Prisma"] = Prisma
    vars(import_module("mirrorfleet_database")).update(PAUSE=1.0)
    vars(import_module("mirrorfleet_worker_recycling")).update(PAUSE=1.0, SETTLE=20.0)
    with Path("workers").open("a") as workers:
        workers.write(f"{_others()}\n")
    _tasks.append(asyncio.get_running_loop().create_task(_appear()))


def _others() -> int:
    """Return how many other workers run: further processes that the gateway's server spawned."""
    threads = Path(f"/proc/{os.getppid()}/task").glob("*/children")
    children = [pid for thread in threads for pid in thread.read_text().split()]
    return sum(b"spawn_main" in _command_line(pid) for pid in children) - 1


def _command_line(pid: str) -> bytes:
    """Return the command line of a process; that of a process that ended is empty."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


class Prisma:
    """The client of a database that holds that team only."""

    connected = False

    def is_connected(self) -> bool:
        return self.connected

    async def connect(self, *_: Any) -> None:
        if not FILE.exists():
            raise sys.modules["prisma.engine.errors"].EngineConnectionError("no database")
        self.connected = True

    async def disconnect(self) -> None:
        self.connected = False

    async def query_raw(self, *_: Any) -> list[Any]:
        return []

    def __getattr__(self, table: str) -> Any:
        found = MagicMock()
        found.find_many = AsyncMock(return_value=[])
        for method in ("find_first", "find_unique", "count", "create", "update", "upsert"):
            setattr(found, method, AsyncMock(return_value=None))
        if table == "litellm_teamtable":
            found.find_unique = AsyncMock(side_effect=_team)
        return found


class _Client(ModuleType):
    """The package of the client. LiteLLM compares errors with its error classes."""

    def __getattr__(self, name: str) -> Any:
        made = sys.modules.get(f"{self.__name__}.{name}") or type(name, (Exception,), {})
        setattr(self, name, made)
        return made


_tasks: list[asyncio.Task[None]] = []


async def _appear() -> None:
    from litellm.proxy import proxy_server

    while proxy_server.prisma_client is None:
        await asyncio.sleep(0.05)
    client = MagicMock()
    client.get_data = _get_data
    client.insert_data = _insert_data
    client.health_check = _health_check
    client.attempt_db_reconnect = _health_check
    client.db = Prisma()
    proxy_server.prisma_client = client


async def _health_check(**_: Any) -> None:
    """Fail while the file `away` exists, as with an unreachable database."""
    if Path("away").exists():
        raise ConnectionError("All connection attempts failed")


async def _insert_data(data: dict[str, Any], table_name: str) -> Any:
    """Store a key that LiteLLM has generated."""
    assert table_name == "key"
    row = {name: data[name] for name in ("key_alias", "models", "max_budget")}
    keys = json.loads(FILE.read_text()) | {sha256(data["token"].encode()).hexdigest(): row}
    FILE.with_suffix(".new").write_text(json.dumps(keys))
    FILE.with_suffix(".new").rename(FILE)
    return SimpleNamespace(token=None, litellm_budget_table=None, created_at=None, updated_at=None)


async def _team(where: dict[str, str], **_: Any) -> Any:
    """Return the team, whose budget is spent."""
    from litellm.proxy._types import LiteLLM_TeamTable

    return LiteLLM_TeamTable(team_id=where["team_id"], max_budget=1.0, spend=2.0)


async def _get_data(token: str = "", table_name: str = "", **_: Any) -> Any:
    """Return the row with this hash from LiteLLM's joined view of keys."""
    await _health_check()
    from litellm.proxy._types import LiteLLM_VerificationTokenView

    row = json.loads(FILE.read_text()).get(token)
    if table_name != "combined_view" or row is None:
        return None
    return LiteLLM_VerificationTokenView(token=token, **row)
