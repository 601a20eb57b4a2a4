"""Only for inventory modules of Mirrorfleet 0.1, which import `roles.host.ssh`."""
