"""The nouns: frozen, without behaviour."""
