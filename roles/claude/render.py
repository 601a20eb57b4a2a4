"""Pure: the command of an isolated group."""

from __future__ import annotations

from mirrorfleet.planning import IsolatedPlan

# A user's own shell may say where the ordinary client is to go, and with which key; here that would
# send a key of another to our gateway, or around it.
LAUNCHER = """\
#!/bin/sh
# Claude Code of the group {group}, beside the ordinary one. Written by Mirrorfleet.
export CLAUDE_CONFIG_DIR="$HOME/{directory}"
if [ ! -r "$CLAUDE_CONFIG_DIR/{key_file}" ]; then
    echo "{command}: you are not of the group {group}, which this is for" >&2
    exit 1
fi
unset {foreign}
exec {client} "$@"
"""

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


def isolated(plan: IsolatedPlan, client: str, key_file: str) -> bytes:
    """Return the command of an isolated group, which starts the client at ``client``."""
    script = LAUNCHER.format(
        group=plan.group,
        command=plan.command,
        directory=plan.directory,
        key_file=key_file,
        foreign=" ".join(FOREIGN),
        client=client,
    )
    return script.encode()
