"""What we are compared with: the same end state, in the words of each tool."""
