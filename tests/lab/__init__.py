"""A lab of real hosts on one machine: systemd-nspawn containers of one Debian image, with sshd.

This package does not know what is deployed. `python -m tests.lab up` boots five bare hosts, as a
hosting provider would; the project's own deploys do everything else.
"""
