"""The command line program ``py312``: argument parsing, commands and their output."""
