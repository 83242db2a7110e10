"""Locks to environments that are installed and imported, and changes that are tried for real."""
