"""Every place where a file declares a version of Python, format by format."""
