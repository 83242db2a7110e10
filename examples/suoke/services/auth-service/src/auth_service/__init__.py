"""Knows passwords, and hands out tokens that prove it."""
