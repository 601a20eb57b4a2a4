"""What is run by those who work on Mirrorfleet, and by no deploy."""
