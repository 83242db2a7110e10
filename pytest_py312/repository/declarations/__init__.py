"""Every place in a repository where a file declares a Python version, format by format."""
