"""A thousand simulated hosts: one real host, recorded, and an SSH server that answers as it did."""
