"""Jobs on a whole fleet that are not services: verify, status, rollback, decommission."""
