"""Live views of a monitored stage: a web page and a terminal display."""
