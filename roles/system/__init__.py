"""What every host with services needs of its system."""
