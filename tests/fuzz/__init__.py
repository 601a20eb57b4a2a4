"""Files that a person, a disk or an enemy has changed: every one is refused in words, or works."""
