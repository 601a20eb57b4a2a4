"""Mistakes that newcomers make, and the answers that they get."""
