"""When Claude Code compacts a conversation, in tokens before the end of its window."""

ANSWER = 20_000
"""Most tokens that the client reserves for an answer."""

MARGIN = 13_000
"""Tokens before that reserve at which it compacts, so that the newest results still fit."""
