"""Peers side by side on the lab's hosts. Every figure of the README comes from here."""
