"""Runs that are divided among machines, and merged again."""
