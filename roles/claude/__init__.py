"""Claude Code on a developer's machine."""
