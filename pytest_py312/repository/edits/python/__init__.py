"""Source of Python, rewritten: names, imports, calls, escapes."""
