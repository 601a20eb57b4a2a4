"""What an engine is: a protocol, the engines that are known, and what only they know."""
