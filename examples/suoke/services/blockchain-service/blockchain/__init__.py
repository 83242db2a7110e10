"""Keeps digests so that nobody can change them afterwards."""
