"""The frame on pyinfra: roles, observation of hosts, steps of a run, services in generations."""
