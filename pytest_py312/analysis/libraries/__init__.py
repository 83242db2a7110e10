"""Analyze the distributions installed for a service: modules that it reaches, and uses of what the target lacks."""
