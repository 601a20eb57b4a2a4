"""LiteLLM on a gateway."""
