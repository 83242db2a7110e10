"""A maze to walk through in the evening, with a treasure in it."""
