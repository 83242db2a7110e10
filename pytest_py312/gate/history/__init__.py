"""Runs over time: the records of earlier ones, what has changed between two, and what blocks most."""
