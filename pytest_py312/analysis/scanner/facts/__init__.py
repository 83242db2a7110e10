"""The facts of a file, and the stdlib queries that they raise."""
