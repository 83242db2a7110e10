"""Small snippets whose verdict on every interpreter was tried: what the source check is judged by."""
