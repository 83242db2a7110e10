"""Readers of the files that define functions of platforms."""
