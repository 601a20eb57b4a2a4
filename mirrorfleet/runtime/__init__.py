"""Our frame on pyinfra: roles, what a run observes and does, services in generations."""
