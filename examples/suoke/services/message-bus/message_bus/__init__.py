"""Topics, subscribers, and messages that wait for them."""
