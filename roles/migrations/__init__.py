"""LiteLLM's tables in the gateways' database."""
