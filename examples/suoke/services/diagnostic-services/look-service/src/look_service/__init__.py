"""Looking: the tongue and the face."""
