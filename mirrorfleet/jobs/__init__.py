"""What is asked of a whole fleet and is no service: verify, status, roll back, decommission."""
