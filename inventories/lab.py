"""The pyinfra face of lab.yml."""

from roles.host.ssh import inventory

hosts = inventory(__file__.replace(".py", ".yml"))
