"""What runs inside a cell: the standard library only, Python 3.8 and later, and nothing of ours."""
