"""Feeling the pulse."""
