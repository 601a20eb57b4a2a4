"""Redis for the gateways."""
