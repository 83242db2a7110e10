"""Tools that build and check the documentation."""
