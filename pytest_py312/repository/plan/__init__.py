"""The plan, read from py312.toml, with errors that name the line."""
