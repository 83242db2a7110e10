"""Many files, read and scanned: on all cores, each content once."""
