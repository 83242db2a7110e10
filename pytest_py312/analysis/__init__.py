"""What the source of services uses of the standard library, and what interpreters say to it."""
