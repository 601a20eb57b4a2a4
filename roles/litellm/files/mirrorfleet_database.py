"""What of LiteLLM must be otherwise where it has a database.

    python3 mirrorfleet_database.py ARGUMENTS    in the place of LiteLLM's own command

starts it without a comparison of its tables with the database: that gives the database's URL, and
the password in it, to a command as an argument. The tables are right already (check.py).

LiteLLM calls `install` in every worker when it starts (LITELLM_WORKER_STARTUP_HOOKS): a database
that is away makes no gateway unready. Developers' keys do not need it, and a front door that asks
for readiness would shut them out as well, on all gateways at once.

A name that a release of LiteLLM has no more stops the start, and with it the switch.
"""

from __future__ import annotations


def install() -> None:
    """Let readiness tell of the database, and not depend on it.

    For readiness alone: said for all of LiteLLM (allow_requests_on_db_unavailable), it would let
    in any key while the database is away.
    """
    from litellm.proxy.health_endpoints import _health_endpoints as endpoints

    original = endpoints.PrismaDBExceptionHandler
    assert original.should_allow_request_on_db_unavailable, "what is replaced must be there"

    class Serving(original):  # type: ignore[misc, valid-type]
        @staticmethod
        def should_allow_request_on_db_unavailable() -> bool:
            return True

    endpoints.PrismaDBExceptionHandler = Serving


def main() -> None:
    from litellm import run_server
    from litellm.proxy.db import check_migration

    assert check_migration.check_prisma_schema_diff, "what is replaced must be there"
    check_migration.check_prisma_schema_diff = lambda db_url=None: None
    run_server()


if __name__ == "__main__":  # not in the workers, which load this file as well
    main()
