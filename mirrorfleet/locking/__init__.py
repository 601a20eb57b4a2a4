"""`mirrorfleet lock`: the lock file of a release, and the names that the release knows."""
