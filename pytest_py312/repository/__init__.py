"""The repository under test: the one safe way to its files, and what they say."""
