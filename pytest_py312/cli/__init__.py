"""The command py312."""
