"""What a person hands to pyinfra, as files or, from another repository, as functions."""
