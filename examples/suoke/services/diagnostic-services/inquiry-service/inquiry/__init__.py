"""Asking: what ails, since when, and what makes it better."""
