"""The facts of a file, and what is to be asked because of them."""
