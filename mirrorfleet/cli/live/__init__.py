"""Commands that connect to hosts: each runs a deploy of pyinfra in this process."""
