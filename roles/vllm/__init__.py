"""vLLM on an engine host."""
