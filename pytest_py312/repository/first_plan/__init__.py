"""A first plan for a repository that has none."""
