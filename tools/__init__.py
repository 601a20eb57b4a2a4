"""Programs for the development of Mirrorfleet; no deploy runs them."""
