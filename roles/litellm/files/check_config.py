"""Let the real LiteLLM load config.yaml, open no port, and judge what came of it.

Run beside config.yaml, by the Python of the environment that will serve it, with the environment
variables of the service. LiteLLM's own --validate_config is content with a misspelt master_key, an
alias that leads nowhere, and a key variable that is not set.
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import litellm
import yaml
from litellm.litellm_core_utils.litellm_logging import _init_custom_logger_compatible_class
from litellm.proxy import proxy_server


async def main() -> list[str]:
    """Return what is wrong, in words for the operator."""
    written = yaml.safe_load(Path("config.yaml").read_text(encoding="utf-8"))
    load = proxy_server.ProxyConfig().load_config
    try:
        router, *_ = await load(router=None, config_file_path="config.yaml")
    except Exception as error:
        return [f"refuses what it says: {type(error).__name__}: {error}"]
    wrong = []
    if not proxy_server.master_key:
        wrong.append("there is no master key")
    if proxy_server.user_custom_auth is None:
        wrong.append("the key check (custom_auth) is not loaded")
    elif not proxy_server.user_custom_auth.__globals__["ring"].readable():
        wrong.append("the keys of developers cannot be read")
    if "DATABASE_URL" in os.environ:
        wrong += await database_faults()
    if len(router.model_list) != len(written["model_list"]):
        wrong.append(f"only {len(router.model_list)} of the deployments are loaded")
    # A callback that lacks an address or a key is left out, with a word in the log at most. Those
    # that are still names are started with the first request; the others stand there already.
    for name in set(written["litellm_settings"].get("callbacks", ())) & waiting():
        usage = proxy_server.proxy_logging_obj.internal_usage_cache
        if _init_custom_logger_compatible_class(name, usage, router) is None:
            wrong.append(f"the callback '{name}' does not start: its environment is incomplete")
    # LiteLLM itself drops a parameter whose variable is not set, and starts without a word.
    for deployment in written["model_list"]:
        for name, value in deployment["litellm_params"].items():
            variable = str(value).removeprefix("os.environ/")
            if variable != str(value) and not os.environ.get(variable):
                wrong.append(f"{name} of model '{deployment['model_name']}' is not set")
    names = {deployment["model_name"] for deployment in written["model_list"]}
    for name in sorted({*names, *written["router_settings"]["model_group_alias"]}):
        try:
            await router.async_get_available_deployment(model=name, request_kwargs={})
        except Exception as error:
            wrong.append(f"the name '{name}' leads to no model ({type(error).__name__})")
    return [*wrong, *hook_faults()]


def waiting() -> set[str]:
    """Return the callbacks that LiteLLM has only noted so far."""
    return {each for each in litellm.callbacks if isinstance(each, str)}


def hook_faults() -> Iterator[str]:
    """Yield which of our own parts this release has no place for: it would not start."""
    app = proxy_server.app
    app.middleware_stack = app.build_middleware_stack()
    for hook in os.environ["LITELLM_WORKER_STARTUP_HOOKS"].split(","):
        module, name = hook.split(":")
        try:
            getattr(import_module(module), name)()
        except Exception as error:
            yield f"has no place for {module}: {type(error).__name__}: {error}"


async def database_faults() -> list[str]:
    """Return why LiteLLM's client cannot ask the database, asked as LiteLLM will."""
    try:
        client = import_module("prisma").Prisma()
    except (ImportError, AttributeError, RuntimeError):  # not there, or not made for its tables
        return [
            "this LiteLLM has no database client: take an image that has, like litellm-non_root"
        ]
    try:
        await client.connect()
        [row] = await client.query_raw(COMMENT)
        await client.disconnect()
    except Exception as error:  # whose text may hold the URL
        return [f"its database cannot be asked ({type(error).__name__})"]
    wanted, found = os.environ["MIRRORFLEET_TABLES"], row["said"] or "nothing"
    if found != wanted:
        # A run that left out the database's host, or did not reach it.
        return [
            f"its database says '{found}' of its tables, where '{wanted}' is needed: "
            "run for all hosts, so that they are made first"
        ]
    return []


COMMENT = "SELECT obj_description(to_regclass('_prisma_migrations'), 'pg_class') AS said"
"""What migrate.sh has said of the tables."""


if __name__ == "__main__":
    faults = asyncio.run(main())
    for fault in faults:
        print(f"LiteLLM has loaded config.yaml, but {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)
