"""A stand-in for LiteLLM's database client, which cannot be had here: it knows the keys of a file.

It is loaded into the real LiteLLM's worker by a startup hook, and is there from when the file
database.json beside its configuration is. Of all else that LiteLLM asks for, it has a
team whose budget is spent.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import AsyncMock, MagicMock

FILE = Path("database.json")


async def install() -> None:
    """Begin to wait for the file."""
    for name in ("prisma", "prisma.errors", "prisma.engine", "prisma.engine.errors"):
        sys.modules[name] = _Client(name)
    _tasks.append(asyncio.get_running_loop().create_task(_appear()))


class _Client(ModuleType):
    """The package of the client: LiteLLM looks whether an error is one of its errors. None is."""

    def __getattr__(self, name: str) -> Any:
        made = sys.modules.get(f"{self.__name__}.{name}") or type(name, (Exception,), {})
        setattr(self, name, made)
        return made


_tasks: list[asyncio.Task[None]] = []


async def _appear() -> None:
    from litellm.proxy import proxy_server

    while not FILE.exists():
        await asyncio.sleep(0.05)
    client = MagicMock()
    client.get_data = _get_data
    client.health_check = _health_check
    client.attempt_db_reconnect = _health_check
    client.db.litellm_teamtable.find_unique = AsyncMock(side_effect=_team)
    client.db.litellm_usertable.find_unique = AsyncMock(return_value=None)
    proxy_server.prisma_client = client


async def _health_check(**_: Any) -> None:
    """Fail while there is a file that says so, as a database that is away does."""
    if Path("away").exists():
        raise ConnectionError("All connection attempts failed")


async def _team(where: dict[str, str], **_: Any) -> Any:
    """Return the one team that there is, which has spent what it had."""
    from litellm.proxy._types import LiteLLM_TeamTable

    return LiteLLM_TeamTable(team_id=where["team_id"], max_budget=1.0, spend=2.0)


async def _get_data(token: str = "", table_name: str = "", **_: Any) -> Any:
    """Return the row of LiteLLM's joined view of keys that has this hash."""
    await _health_check()
    from litellm.proxy._types import LiteLLM_VerificationTokenView

    row = json.loads(FILE.read_text()).get(token)
    if table_name != "combined_view" or row is None:
        return None
    return LiteLLM_VerificationTokenView(token=token, **row)
