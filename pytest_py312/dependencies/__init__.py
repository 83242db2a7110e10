"""From requirements to what is installed, and why something cannot be."""
