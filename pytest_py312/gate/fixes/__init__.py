"""From findings to changes of files, which the interpreters and a second run have to confirm."""
