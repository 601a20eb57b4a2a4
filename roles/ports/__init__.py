"""The ports of a host's services, reserved for their users."""
