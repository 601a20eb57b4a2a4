"""The firewall of a host."""
