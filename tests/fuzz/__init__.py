"""Feed hostile text to everything that reads, edits or decodes: ``python -m tests.fuzz``."""
