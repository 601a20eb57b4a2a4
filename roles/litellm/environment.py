"""Render the environment of a gateway: addresses, secrets, and what its workers call first."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from mirrorfleet.config import Secret
from mirrorfleet.config.litellm import Redis
from mirrorfleet.planning import DatabasePlan, LitellmPlan, http
from mirrorfleet.roles.litellm.limits import limits_turns
from mirrorfleet.roles.litellm.paths import COUNTS, HELD, KEYS, LEDGER, NAME
from mirrorfleet.roles.litellm.references import references
from mirrorfleet.roles.litellm.references import variables as variables_of
from mirrorfleet.roles.litellm.scripts import (
    checks_windows,
    counts_with_bearer,
    mends_requests,
    translates_thinking,
)
from mirrorfleet.runtime import locks, tables
from mirrorfleet.runtime.paths import ROOT, STATE


def hooks(gateway: LitellmPlan, workers: int) -> str:
    """Return the functions that LiteLLM calls in every worker at its start."""
    modules = ["mirrorfleet_readiness"]
    if gateway.usage:
        modules.append("mirrorfleet_usage")  # sees what mirrorfleet_requests lets pass
    if limits_turns(gateway):
        modules.append("mirrorfleet_limits")  # before the filter, so that it runs inside
    modules += ["mirrorfleet_requests", "mirrorfleet_routes"]
    if workers > 1:
        modules.append("mirrorfleet_workers")
    if gateway.max_requests_before_restart:
        modules.append("mirrorfleet_worker_recycling")
    if mends_requests(gateway):
        modules.append("mirrorfleet_mends")
    if checks_windows(gateway):
        modules.append("mirrorfleet_ollama")  # checks a prompt as it was mended
    if translates_thinking(gateway):
        modules.append("mirrorfleet_thinking")
    if counts_with_bearer(gateway):
        modules.append("mirrorfleet_engine_counts")
    if gateway.database:
        modules.append("mirrorfleet_database")
    if gateway.tls_servers:
        modules.append("mirrorfleet_certificates")
    return ",".join(f"{module}:install" for module in modules)


def variables(gateway: LitellmPlan, secrets: Mapping[Secret, str], workers: int) -> dict[str, str]:
    """Return the environment of the process."""
    found = {
        "LITELLM_MASTER_KEY": secrets[gateway.master_key],
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": gateway.logging.level,
        # LiteLLM downloads no prices and no header lists at its start.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
        # The process ends after its current turns.
        "GRACEFUL_SHUTDOWN_TIMEOUT": str(gateway.stop_timeout),
        "NO_DOCS": "True",
        "NO_REDOC": "True",
        "NO_OPENAPI": "True",
        "DISABLE_ADMIN_UI": "True",
        "MIRRORFLEET_KEYS": KEYS,
        "LITELLM_WORKER_STARTUP_HOOKS": hooks(gateway, workers),
        "MIRRORFLEET_HELD": HELD,
        "PYTHONPATH": f"{ROOT}/{NAME}/current",
    }
    if checks_windows(gateway):
        found["MIRRORFLEET_COUNTS"] = COUNTS
    if gateway.usage:
        found["MIRRORFLEET_LEDGER"] = LEDGER
    if limits_turns(gateway):
        found["MIRRORFLEET_GATEWAY"] = gateway.name
        if gateway.redis:
            found["MIRRORFLEET_FLEET"] = gateway.fleet
            found["MIRRORFLEET_REDIS"] = redis_url(gateway.redis, secrets)
    if not gateway.image:
        # An image has its own home directory, which may hold files.
        found["HOME"] = f"{STATE}/{NAME}"
    if gateway.database:
        found["DATABASE_URL"] = url(gateway.database, secrets)
        found["LITELLM_SALT_KEY"] = secrets[gateway.database.salt_key]
        # The migrations role updates the tables, once and before any gateway changes.
        found["DISABLE_SCHEMA_UPDATE"] = "true"
        # check_config.py compares this with the comment of the tables.
        lock = locks.text(gateway.lock)
        found["MIRRORFLEET_TABLES"] = tables.comment(lock, found["LITELLM_SALT_KEY"])
    if gateway.passthrough:
        found["ANTHROPIC_API_BASE"] = gateway.passthrough.url
        found["ANTHROPIC_API_KEY"] = secrets[gateway.passthrough.api_key]
    names = variables_of(gateway.routes)
    for route in gateway.routes:
        for name, secret in route.secrets.items():
            value = secrets[secret]
            # LiteLLM appends its path to an address: a trailing slash would be doubled.
            found[names[route.model, route.number, name]] = (
                value.rstrip("/") if name in ADDRESSES else value
            )
        if route.bearer:
            key = secrets[route.secrets["api_key"]]
            found[names[route.model, route.number, "bearer"]] = f"Bearer {key}"
    for secret, name in references(gateway).items():
        found[name] = secrets[secret]
    for name, value in gateway.environment.items():
        found[name] = secrets[value] if isinstance(value, Secret) else value
    return found


ADDRESSES = ("api_base", "aws_bedrock_runtime_endpoint")
"""LiteLLM's parameters with the address of a provider."""


def redis_url(redis: Redis, secrets: Mapping[Secret, str]) -> str:
    """Return the URL of the shared Redis with its password."""
    at = urlsplit(http(redis.host, redis.port)).netloc
    user = quote(redis.username or "", safe="")
    password = quote(secrets[redis.password], safe="") if redis.password else ""
    login = f"{user}:{password}@" if user or password else ""
    return f"redis{'s' if redis.ssl else ''}://{login}{at}"


def url(database: DatabasePlan, secrets: Mapping[Secret, str]) -> str:
    """Return the URL of LiteLLM's database with its password: configured, or Mirrorfleet's own."""
    if database.url:
        return secrets[database.url]
    if database.password is None:
        raise ValueError("a database without a url needs a password: gateway.database.password")
    at, password = urlsplit(http(database.host, database.port)).netloc, secrets[database.password]
    return f"postgresql://{tables.role(password)}:{quote(password, safe='')}@{at}/litellm"
