"""Measures how well the agents answer."""
