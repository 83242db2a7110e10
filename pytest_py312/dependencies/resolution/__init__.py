"""Resolve requirements to a lock, and cache results."""
