"""From findings to changes of files, verified by the interpreters and by a second run."""
