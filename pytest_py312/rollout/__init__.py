"""Bringing a proven stage into service: deployed, watched, and kept or rolled back."""
