"""The pyinfra face of prod.yml."""

from roles.host.ssh import inventory

hosts = inventory(__file__.replace(".py", ".yml"))
