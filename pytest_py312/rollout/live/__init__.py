"""A stage that is watched, as a page and in the terminal."""
