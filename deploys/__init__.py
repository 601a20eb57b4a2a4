"""The deploys for pyinfra, as files or, in another repository, as functions."""
