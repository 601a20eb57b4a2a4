"""Ollama on an engine host."""
