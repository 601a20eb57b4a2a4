"""Pure: the command of an isolated group."""

from __future__ import annotations

from pathlib import Path

from mirrorfleet.planning import IsolatedPlan
from mirrorfleet.planning.connection import KEY_FILE
from mirrorfleet.runtime.text import template

TEMPLATE = Path(__file__).parent / "templates" / "isolated.sh.j2"

FOREIGN = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_CUSTOM_HEADERS",
    "ANTHROPIC_MODEL",
    "ANTHROPIC_SMALL_FAST_MODEL",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_VERTEX",
)
"""Variables of a user's own shell that may set address and key of the ordinary client. Here, they
would send another provider's key to the gateway, or requests past the gateway."""


def isolated(plan: IsolatedPlan, client: str) -> bytes:
    """Return the command of an isolated group, which starts the client at ``client``."""
    script = template(
        TEMPLATE,
        group=plan.group,
        command=plan.command,
        directory=plan.directory,
        # With a helper, nothing in the home is needed.
        key_file="" if plan.key_helper else KEY_FILE,
        foreign=" ".join(FOREIGN),
        client=client,
    )
    return script.encode()
