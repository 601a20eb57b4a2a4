"""HAProxy in front of the gateways."""
