"""Analyze the source of services, and cache the results."""
