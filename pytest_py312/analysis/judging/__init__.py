"""Turn the facts of source files and the answers of interpreters into findings."""
