"""The engine protocol, and the engines that implement it."""
