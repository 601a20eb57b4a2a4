"""Load config.yaml with the real LiteLLM, without opening a port, and report what is wrong.

Run in the directory of config.yaml, by the Python environment that will serve it, with the
service's environment variables. LiteLLM's own --validate_config accepts a misspelt master_key, an
alias of a model that does not exist, and a key variable that is not set.
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
    """Return the faults of the configuration, for the operator."""
    written = yaml.safe_load(Path("config.yaml").read_text(encoding="utf-8"))
    load = proxy_server.ProxyConfig().load_config
    try:
        router, *_ = await load(router=None, config_file_path="config.yaml")
    except Exception as error:
        # LiteLLM says which module it cannot import; the cause says why.
        causes = [each for each in (error, error.__cause__) if each]
        return [
            "rejects its content: " + ": ".join(f"{type(each).__name__}: {each}" for each in causes)
        ]
    found = []
    if not proxy_server.master_key:
        found.append("there is no master key")
    if proxy_server.user_custom_auth is None:
        found.append("the key check (custom_auth) is not loaded")
    elif not proxy_server.user_custom_auth.__globals__["ring"].is_readable():
        found.append("it cannot read the developers' keys")
    if "DATABASE_URL" in os.environ:
        found += await database_faults()
    if len(router.model_list) != len(written["model_list"]):
        loaded, total = len(router.model_list), len(written["model_list"])
        found.append(f"only {loaded} of {total} deployments are loaded")
    # LiteLLM skips a callback without its address or key, at most with a line in the log. Names
    # are started with the first request; the other callbacks run already.
    for name in set(written["litellm_settings"].get("callbacks", ())) & pending_callbacks():
        usage = proxy_server.proxy_logging_obj.internal_usage_cache
        if _init_custom_logger_compatible_class(name, usage, router) is None:
            found.append(f"the callback '{name}' does not start: its environment is incomplete")
    # LiteLLM drops a parameter whose variable is not set, and starts without a message.
    for deployment in written["model_list"]:
        for name, value in deployment["litellm_params"].items():
            variable = str(value).removeprefix("os.environ/")
            if variable != str(value) and not os.environ.get(variable):
                found.append(f"{name} of model '{deployment['model_name']}' is not set")
    names = {deployment["model_name"] for deployment in written["model_list"]}
    for name in sorted({*names, *written["router_settings"]["model_group_alias"]}):
        try:
            # Any text stands for a wildcard.
            asked = name.replace("*", "any")
            await router.async_get_available_deployment(model=asked, request_kwargs={})
        except Exception as error:
            found.append(f"no model serves the name '{name}' ({type(error).__name__})")
    return [*found, *hook_faults()]


def pending_callbacks() -> set[str]:
    """Return the names of callbacks that LiteLLM has not started yet."""
    return {callback for callback in litellm.callbacks if isinstance(callback, str)}


def hook_faults() -> Iterator[str]:
    """Yield which startup hooks of Mirrorfleet this release rejects: no worker would start."""
    app = proxy_server.app
    app.middleware_stack = app.build_middleware_stack()
    for hook in os.environ["LITELLM_WORKER_STARTUP_HOOKS"].split(","):
        module, name = hook.split(":")
        try:
            getattr(import_module(module), name)()
        except Exception as error:
            yield f"its release does not support {module}: {type(error).__name__}: {error}"


async def database_faults() -> list[str]:
    """Return why LiteLLM's own client cannot query the database."""
    try:
        client = import_module("prisma").Prisma()
    except (ImportError, AttributeError, RuntimeError):  # missing, or not generated
        return [
            "it has no database client: use an image that has one, for example litellm-non_root"
        ]
    try:
        await client.connect()
        [row] = await client.query_raw(COMMENT)
        await client.disconnect()
    except Exception as error:  # its text may hold the URL
        return [f"its database does not answer queries ({type(error).__name__})"]
    desired, found = os.environ["MIRRORFLEET_TABLES"], row["comment"] or "nothing"
    if found != desired:
        # A run that skipped the database's host, or did not reach it.
        return [
            f"the tables of its database are of '{found}', and '{desired}' is needed: "
            "run for all hosts, which migrates the tables first"
        ]
    return []


COMMENT = "SELECT obj_description(to_regclass('_prisma_migrations'), 'pg_class') AS comment"
"""The comment in which migrate.sh records the release of the tables."""


if __name__ == "__main__":
    faults = asyncio.run(main())
    for fault in faults:
        print(f"LiteLLM has loaded config.yaml, but {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)
