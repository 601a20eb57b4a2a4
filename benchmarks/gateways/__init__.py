"""A comparison of gateways on loopback, in front of an engine that answers at once."""
