"""Deployment targets: the protocol, and one class for each kind of target."""
