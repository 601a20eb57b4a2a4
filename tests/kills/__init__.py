"""Real scripts that are killed at each call that changes something; the next run must heal it all.

    python -m tests.kills [--kills 200] [--seed 1] [NAME ...]

Needs root and strace, and for some scripts nft, Postgres or systemd-nspawn.
"""
