"""Postgres for the gateways."""
