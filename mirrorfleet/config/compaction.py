"""When Claude Code compacts a conversation, in tokens of its window."""

ANSWER = 20_000
"""Tokens at most that the client keeps free for an answer, however long an answer may be."""

MARGIN = 13_000
"""Tokens before that from which on it compacts, so that the newest results still fit."""
