"""The analysis of a service's own source, and what is remembered of it."""
