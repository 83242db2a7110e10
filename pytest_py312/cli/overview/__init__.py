"""Commands that show the whole migration: what has changed, what is next, and what went wrong."""
