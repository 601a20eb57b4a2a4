"""What an engine is: its devices, its server, its models, as the fleet file declares them."""
