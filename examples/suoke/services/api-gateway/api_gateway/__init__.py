"""The one door to the platform: knows which service answers which path."""
