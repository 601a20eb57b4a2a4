"""A lab of real hosts on one machine: systemd-nspawn over one Debian image, each with its own sshd.

Nothing here knows what is deployed. `python -m tests.lab up` gives five bare hosts, as a provider
of machines would; everything else is the work of the project's own deploys.
"""
