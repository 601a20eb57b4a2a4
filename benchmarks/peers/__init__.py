"""The peers: the same end state, written for each tool."""
