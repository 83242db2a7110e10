"""What the scanner knows of values, of conditions, and of tests of the version."""
