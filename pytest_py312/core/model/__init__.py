"""Shared values: frozen dataclasses without logic."""
