"""A stage on its way: what is done, by whom, and one at a time."""
