"""Mutated fleet files and key files: the product must accept each or refuse it with a message."""
